/**
 * The API server beside what it is built on, in the same run, with the processor time of the server process beside every rate:
 *
 *     node bench/run.mjs apiserver/main.ts [requests] [many-objects] [fan-out] [latency] [fairness] [capacity]      default: all
 *     node bench/run.mjs apiserver/main.ts soak [MINUTES]
 */
import { machine } from '../samples.js';
import { capacity } from './capacity.js';
import { fairness } from './fairness.js';
import { countBytes, fanOut } from './fan-out.js';
import { latency } from './latency.js';
import { manyObjects, requests } from './requests.js';
import { serveAsProcess } from './server-process.js';
import { servers } from './servers.js';
import { soak } from './soak.js';

const parts = { requests, 'many-objects': manyObjects, 'fan-out': fanOut, latency, fairness, capacity };

const words = process.argv.slice(2);
if (words[0] === 'serve') await serveAsProcess(servers[words[1]!]!);
else if (words[0] === 'count') await countBytes(Number(words[1]), words[2]!);
else if (words[0] === 'soak') {
  console.log(machine());
  await soak(Number(words[1] ?? 10));
} else {
  for (const word of words) if (!(word in parts)) throw new Error(`${word}: none of ${Object.keys(parts).join(', ')}`);
  console.log(machine());
  for (const [name, run] of Object.entries(parts)) if (words.length === 0 || words.includes(name)) await run();
}
