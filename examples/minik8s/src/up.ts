/**
 * `node examples/minik8s/dist/up.js`: the distribution as one process. It prints one line when it is ready; SIGTERM stops the pods, then
 * the rest, and it ends with exit code 0.
 */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { compose, logger } from '@orbitkit/core';
import { miniK8s } from './minik8s.js';

const usage = `usage: up.js [--data-dir DIR] [--listen HOST:PORT] [--nodes N] [--runtime process|docker] [--anti-affinity required|soft]
       [--log-level debug|info|warn|error]`;

function settings() {
  const { values } = parseArgs({
    options: {
      'data-dir': { type: 'string', default: '.minik8s' },
      listen: { type: 'string', default: '127.0.0.1:6443' },
      nodes: { type: 'string', default: '3' },
      runtime: { type: 'string', default: 'process' },
      'anti-affinity': { type: 'string', default: 'required' },
      'log-level': { type: 'string', default: 'warn' },
    },
  });
  const oneOf = <T extends string>(name: keyof typeof values, ...allowed: T[]): T => {
    const value = values[name] as T;
    if (!allowed.includes(value)) throw new Error(`--${name} ${value}: one of ${allowed.join(', ')}`);
    return value;
  };
  const [, host, port] = /^(.+):(\d+)$/.exec(values.listen) ?? [];
  if (!host) throw new Error(`--listen ${values.listen}: HOST:PORT`);
  const nodes = Number(values.nodes);
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 100) throw new Error(`--nodes ${values.nodes}: 1 to 100`);
  return {
    dataDir: resolve(values['data-dir']),
    listen: { host, port: Number(port) },
    nodes,
    runtime: oneOf('runtime', 'process', 'docker'),
    antiAffinity: oneOf('anti-affinity', 'required', 'soft'),
    level: oneOf('log-level', 'debug', 'info', 'warn', 'error'),
  };
}

async function main(): Promise<void> {
  const { level, ...options } = settings();
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  await mkdir(options.dataDir, { recursive: true, mode: 0o700 });
  const { components, ranges, server, mode } = await miniK8s(options);
  const cluster = compose({ log: logger({ level }), stopTimeoutMs: 45_000 }, ...components);
  const running = cluster.run({ signal: stop.signal }).finally(() => ranges.release());
  await Promise.race([cluster.ready, running]).catch(error => {
    // Stopped before it was ready: what has begun ends, and that is all.
    if (!stop.signal.aborted) throw error;
  });
  if (!stop.signal.aborted) {
    const kubeconfig = join(options.dataDir, 'kubeconfig');
    console.log(`minik8s is up: ${server.endpoint?.url}, ${options.nodes} nodes (${mode}), kubeconfig ${kubeconfig}`);
  }
  await running;
}

try {
  await main();
} catch (error) {
  const { code, message } = error as NodeJS.ErrnoException;
  const badWords = String(code).startsWith('ERR_PARSE_ARGS') || /^--/.test(message);
  console.error(badWords ? `${message}\n${usage}` : `Error: ${message}`);
  process.exitCode = badWords ? 2 : 1;
}
