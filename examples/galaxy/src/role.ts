/**
 * One role of a Galaxy as a process: `node role.js <kind> <name> --dir DIR --coordinator HOST:PORT [--listen HOST:PORT] …`.
 * When it serves it prints one line of JSON with its address; SIGTERM stops it.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { embeddedStore } from '@orbitkit/apiserver/storage';
import { type Component, compose, logger } from '@orbitkit/core';
import { coordinator, dispatcher, gateway, readIdentity, shardScheduler, virtualNode } from '@orbitkit/galaxy';
import { processRuntime, type Runtime, simulatedRuntime } from '@orbitkit/node';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string' },
    coordinator: { type: 'string', multiple: true, default: [] },
    listen: { type: 'string', default: '127.0.0.1:0' },
    runtime: { type: 'string', default: 'process' },
    token: { type: 'string' },
    cpu: { type: 'string', default: '4000' },
    memory: { type: 'string', default: String(4 * 1024 ** 3) },
    cidr: { type: 'string' },
    'lease-ms': { type: 'string', default: '10000' },
  },
});
const [kind, name] = positionals;
if (!kind || !name || !values.dir) {
  console.error(
    'usage: role.js coordinator|gateway|dispatcher|scheduler|node NAME --dir DIR [--coordinator HOST:PORT]',
  );
  process.exit(2);
}
const directory = values.dir;
const credentials = await readIdentity(join(directory, 'pki'), name);
const onListening = (address: string) => process.stdout.write(`${JSON.stringify({ kind, name, address })}\n`);
const common = { name, listen: values.listen, coordinators: values.coordinator, credentials, onListening };

function runtimeOf(nodeName: string): Runtime {
  if (values.runtime === 'simulated') return simulatedRuntime();
  if (values.runtime === 'process')
    return processRuntime({ dataDir: join(directory, 'nodes', nodeName), mode: 'rootless' });
  throw new Error(`--runtime ${values.runtime}: process or simulated`);
}

function component(): Component {
  switch (kind) {
    case 'coordinator':
      return coordinator({
        ...common,
        leaseMillis: Number(values['lease-ms']),
        store: embeddedStore({ dir: join(directory, 'registry') }),
      });
    case 'gateway':
      return gateway({ ...common, http: values.listen, token: values.token ?? null });
    case 'dispatcher':
      return dispatcher(common);
    case 'scheduler':
      return shardScheduler(common);
    case 'node':
      return virtualNode({
        ...common,
        runtime: runtimeOf(name!),
        cpuMillis: Number(values.cpu),
        memoryBytes: Number(values.memory),
        logDirectory: join(directory, 'logs', name!),
        ...(values.cidr ? { podCIDR: values.cidr } : {}),
      });
    default:
      throw new Error(`${kind} is no role; there are coordinator, gateway, dispatcher, scheduler and node`);
  }
}

const controller = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => controller.abort());
const log = logger({ level: 'warn' });
try {
  await compose({ log, stopTimeoutMs: 10_000 }, component()).run({ signal: controller.signal });
} catch (error) {
  log.error('the role ended', { kind, name, error });
  process.exitCode = 1;
}
