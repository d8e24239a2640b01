/** `node bench/run.mjs scheduler/main.ts decisions [WORKLOAD] | http [NODES PODS]`: see the two files of those names. */
import { decisionReport } from './decisions.js';
import { httpReport, loadOnOrder } from './http.js';

const [what, ...words] = process.argv.slice(2);
if (what === 'decisions') decisionReport(3, words[0]);
else if (what === 'http') await httpReport(...words.map(Number));
else if (what === 'load') loadOnOrder();
else throw new Error('usage: node bench/run.mjs scheduler/main.ts decisions [WORKLOAD] | http [NODES PODS]');
