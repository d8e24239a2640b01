/** `node bench/run.mjs scheduler/main.ts decisions [WORKLOAD] | sizes | queued | http [apart] [WORKLOAD|all] [NODES [PODS]]`: see the files. */
import { scheduleOnOrder } from './apart.js';
import { decisionReport, sizeReport } from './decisions.js';
import { httpReport, loadOnOrder } from './http.js';
import { queuedReport } from './queued.js';

const [what, ...words] = process.argv.slice(2);
if (what === 'decisions') decisionReport(3, words[0]);
else if (what === 'sizes') sizeReport();
else if (what === 'queued') queuedReport();
else if (what === 'http') {
  const apart = words[0] === 'apart';
  if (apart) words.shift();
  const name = words[0] && Number.isNaN(Number(words[0])) ? words.shift() : undefined;
  const [nodes, pods] = words.map(Number);
  await httpReport({ name, nodes, pods, apart });
} else if (what === 'schedule') scheduleOnOrder();
else if (what === 'load') loadOnOrder();
else
  throw new Error(
    'usage: node bench/run.mjs scheduler/main.ts decisions [WORKLOAD] | sizes | queued | http [apart] [WORKLOAD|all] [NODES [PODS]]',
  );
