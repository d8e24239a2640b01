/**
 * `npm run demo`: a MiniK8s cluster at work, in half a minute: nodes, pods spread over them, a service that answers round robin, a killed
 * pod replaced. It ends by itself; `-- --keep` leaves the cluster running.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { execute } from '@orbitkit/cli';
import {
  compose,
  createClient,
  Deployment,
  Endpoints,
  findCluster,
  kubeconfigContext,
  kubeconfigTransport,
  logger,
  Pod,
  Service,
} from '@orbitkit/core';
import { miniK8s } from './minik8s.js';

function flags() {
  try {
    return parseArgs({ options: { keep: { type: 'boolean', default: false }, dir: { type: 'string' } } }).values;
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: npm run demo -- [--keep] [--dir DIR]`);
    process.exit(2);
  }
}

const values = flags();
const manifests = fileURLToPath(new URL('../manifests', import.meta.url));
const dataDir = values.dir ?? (await mkdtemp(join(tmpdir(), 'minik8s-')));
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error('interrupted')));

const began = Date.now();
const bold = (text: string) => (process.stdout.isTTY ? `\x1b[1m${text}\x1b[0m` : text);
const say = (text: string) => console.log(`\n${bold(`[${((Date.now() - began) / 1000).toFixed(1)}s] ${text}`)}`);
/** As a shell takes it. */
const quoted = (word: string) => (/^[\w./:=,@-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
const orbit = async (...words: string[]) => {
  console.log(`$ orbit ${words.map(quoted).join(' ')}`);
  const code = await execute(['--kubeconfig', join(dataDir, 'kubeconfig'), ...words], {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal: stop.signal,
  });
  if (code !== 0) throw new Error(`orbit ${words.join(' ')} ended with exit code ${code}`);
};

async function until<T>(what: string, look: () => Promise<T | undefined>, boundMs = 45_000): Promise<T> {
  const end = Date.now() + boundMs;
  for (;;) {
    stop.signal.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${boundMs / 1000} s`);
    await new Promise(resolve => setTimeout(resolve, 50));
  }
}

say('starting: API server, scheduler, controllers and three nodes, in this process');
const { components, ranges } = await miniK8s({ dataDir, listen: { port: 0 } });
const cluster = compose({ log: logger({ level: 'error' }), stopTimeoutMs: 30_000 }, ...components);
const running = cluster.run({ signal: stop.signal });
let exitCode = 0;
try {
  await Promise.race([cluster.ready, running]);
  const found = await findCluster({ kubeconfig: join(dataDir, 'kubeconfig') });
  const client = createClient(kubeconfigTransport(found.config, { context: kubeconfigContext(found.config).name }));
  const namespace = 'default';

  say('manifests of many kinds');
  const files = (await readdir(manifests)).filter(name => name.endsWith('.yaml')).sort();
  for (const name of files) await orbit('apply', '-f', join(manifests, name));
  await until('the deployment', async () => {
    const web = await client.get(Deployment, { namespace, name: 'web' });
    return web.status.readyReplicas === 3 ? web : undefined;
  });
  await until('all pods', async () => {
    const { items } = await client.list(Pod, { namespace });
    return items.every(pod => pod.status.conditions?.some(each => each.type === 'Ready' && each.status === 'True'))
      ? items
      : undefined;
  });
  await orbit('get', 'nodes');
  await orbit('get', 'deploy,rs,svc');
  await orbit('get', 'pods', '-o', 'wide');

  say('the service answers round robin');
  const service = await client.get(Service, { namespace, name: 'web' });
  const url = `http://${service.spec.clusterIP}:8080/`;
  const ask = async () =>
    (await fetch(url, { signal: AbortSignal.timeout(5_000), headers: { connection: 'close' } })).text();
  await until('the service', async () => ask().catch(() => undefined));
  await until('three addresses', async () => {
    const { subsets } = await client.get(Endpoints, { namespace, name: 'web' });
    return subsets?.[0]?.addresses?.length === 3 ? true : undefined;
  });
  const counts = new Map<string, number>();
  for (let i = 0; i < 12; i++) {
    const name = (await ask()).trim().split('\n')[0]!;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const [name, count] of counts) console.log(`${count} of 12 answers from ${name}`);

  say('a pod is deleted, and replaced');
  const { items: web } = await client.list(Pod, { namespace, labelSelector: 'app=web' });
  const before = new Set(web.map(pod => pod.metadata.uid));
  const victim = web[0]!;
  const killedAt = Date.now();
  await orbit('delete', 'pod', victim.metadata.name, '--no-wait');
  const fresh = await until('a replacement', async () => {
    const { items } = await client.list(Pod, { namespace, labelSelector: 'app=web' });
    return items.find(pod => !before.has(pod.metadata.uid) && pod.status.phase === 'Running');
  });
  console.log(`${fresh.metadata.name} runs on ${fresh.spec.nodeName}, ${Date.now() - killedAt} ms later`);

  say('two containers of a pod share a volume');
  await until('its output', async () => {
    const pod = await client.get(Pod, { namespace, name: 'pair' });
    return pod.status.containerStatuses?.every(each => each.ready) ? pod : undefined;
  });
  await orbit('logs', 'pair', '-c', 'reader');
  await orbit('exec', 'pair', '-c', 'reader', '--', 'sh', '-c', 'cat $ORBIT_ROOT/shared/word');
  await client.close();

  if (values.keep) {
    say('the cluster goes on until ctrl-c');
    console.log(
      `export KUBECONFIG=${join(dataDir, 'kubeconfig')}\nnpx orbit get pods -A        # or kubectl, or: npx orbit ui`,
    );
    await running;
  } else {
    say('done; stopping the pods and the cluster');
  }
} catch (error) {
  if (!stop.signal.aborted) {
    console.error(error);
    exitCode = 1;
  }
} finally {
  stop.abort(new Error('the demo is over'));
  await running.catch(error => {
    console.error(error);
    exitCode = 1;
  });
  await ranges.release();
  if (!values.dir) await rm(dataDir, { recursive: true, force: true });
}
say('everything has ended');
process.exitCode = exitCode;
