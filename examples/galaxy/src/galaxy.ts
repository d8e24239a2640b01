/**
 * A Galaxy in one command: every role a process of its own, on this machine. It creates instances, loses a scheduler, and
 * creates more; `--keep` leaves it running and says how to talk to it.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startGalaxy } from './processes.js';

function flags() {
  try {
    return parseArgs({ options: { keep: { type: 'boolean', default: false }, dir: { type: 'string' } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: npm run galaxy -- [--keep] [--dir DIR]`);
    process.exit(2);
  }
}

const values = flags();
const directory = values.dir ?? (await mkdtemp(join(tmpdir(), 'galaxy-')));
console.log(
  `starting 1 coordinator, 2 gateways, 2 dispatchers, 2 schedulers and 3 nodes, each a process (state in ${directory})`,
);
const galaxy = await startGalaxy(directory, {
  gateways: 2,
  dispatchers: 2,
  schedulers: 2,
  nodes: 3,
  runtime: 'process',
});

interface Answer {
  id: string;
  node: string;
  address: string;
  error?: string;
  hops: { role: string; millis: number }[];
}
async function create(name: string, gateway = galaxy.gateways[0]): Promise<Answer> {
  const response = await fetch(`${gateway}/v1/instances`, {
    method: 'POST',
    headers: { authorization: `Bearer ${galaxy.token}` },
    body: JSON.stringify({ function: name, image: 'orbitkit/echo', cpuMillis: 100, memoryBytes: 32 * 1024 ** 2 }),
  });
  const answer = (await response.json()) as Answer;
  if (response.status !== 201) throw new Error(`create ${name}: ${response.status} ${answer.error}`);
  return answer;
}

let exitCode = 0;
try {
  for (let i = 1; i <= 6; i++) {
    const made = await create(`hello-${i}`);
    const hops = made.hops.map(hop => `${hop.role} ${hop.millis.toFixed(1)}`).join(' < ');
    console.log(`created ${made.id.slice(0, 20)}… on ${made.node} at ${made.address}   ms: ${hops}`);
  }
  console.log('killing scheduler-1 (kill -9) …');
  await galaxy.kill('scheduler-1', 'SIGKILL');
  const after = await create('after-the-kill', galaxy.gateways[1]);
  console.log(`created ${after.id.slice(0, 20)}… on ${after.node} through the other scheduler`);
  if (values.keep) {
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, galaxy.token, { mode: 0o600 });
    console.log(
      `running until ctrl-c. Try:\n  curl -H "Authorization: Bearer $(cat ${tokenFile})" "${galaxy.gateways[0]}/create?funcName=orbitkit/echo&requireCpu=1&requireMem=64"`,
    );
    await new Promise<void>(resolve => {
      process.once('SIGINT', () => resolve());
      process.once('SIGTERM', () => resolve());
    });
  }
} catch (error) {
  console.error(error);
  exitCode = 1;
} finally {
  await galaxy.stop();
  if (!values.dir) await rm(directory, { recursive: true, force: true });
}
console.log('all roles have ended');
process.exitCode = exitCode;
