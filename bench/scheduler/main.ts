/** `node bench/run.mjs scheduler/main.ts decisions|http [WORKLOAD]`: see the two files of those names. */
import { decisionReport } from './decisions.js';

const [what = 'decisions', only] = process.argv.slice(2);
if (what === 'decisions') decisionReport(1, only);
else throw new Error('usage: node bench/run.mjs scheduler/main.ts decisions [WORKLOAD]');
