/**
 * A Deployment whose pods are busy grows, and shrinks when they are idle: processes of this machine, measured by their node's agent, the numbers
 * through `metrics.k8s.io`. Everything looks more often than by default, so that it takes seconds.
 *
 * kubectl comes from `ci/` (`cd ci && npm ci`). Without it its test is skipped; with `ORBITKIT_CI=1` it fails.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { controllerManager, standardControllers } from '@orbitkit/controllers';
import {
  type Client,
  compose,
  Deployment,
  execInPod,
  findCondition,
  HorizontalPodAutoscaler,
  Pod,
  silentLogger,
} from '@orbitkit/core';
import { networkRanges, node, processRuntime } from '@orbitkit/node';
import { scheduler } from '@orbitkit/scheduler';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from './cluster.js';
import { kubectlPath } from './tours/clients.js';

const namespace = 'default';
const key = { name: 'busy', namespace };
const kubectl = kubectlPath(35);

let dataDir: string;
let client: Client;
let composition: ReturnType<typeof compose>;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'orbitkit-autoscaler-'));
  const directory = join(dataDir, 'n1');
  const runtime = processRuntime({ dataDir: directory });
  const ranges = await networkRanges({ stateFile: join(dataDir, 'network.json'), mode: runtime.mode });
  const server = apiServer({
    store: memoryStore(),
    dataDir,
    kubeconfig: join(dataDir, 'kubeconfig'),
    listen: { host: '127.0.0.1', port: 0 },
    serviceCIDR: ranges.serviceCIDR,
    metricsResolutionMs: 1_000,
  });
  const controllers = standardControllers({
    clusterCIDR: ranges.podCIDR,
    horizontalPodAutoscalers: { syncPeriodMs: 1_000 },
  });
  composition = compose(
    { log: silentLogger },
    server,
    scheduler(),
    controllerManager(controllers),
    node({
      name: 'n1',
      dataDir: directory,
      runtime,
      listen: { clusterCA: () => server.certificateAuthority() },
      stopPodsOnShutdown: true,
    }),
  );
  composition.run().catch(() => {});
  await composition.ready;
  client = server.clientFor({ username: 'admin', groups: ['system:masters'] });
}, 60_000);

afterAll(async () => {
  await composition?.[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true, force: true });
}, 60_000);

async function run(...words: string[]): Promise<string> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: dataDir, KUBECONFIG: join(dataDir, 'kubeconfig') };
  const { stdout } = await promisify(execFile)(kubectl!, words, { env, timeout: 30_000 });
  return stdout;
}

it.skipIf(!kubectl && !process.env['ORBITKIT_CI'])(
  'grows under load and shrinks without it; kubectl autoscale makes it, kubectl get hpa shows it',
  async () => {
    // Up to a third of a processor until it is told to rest; a busy machine gives less.
    const program = `
      const { existsSync } = require('node:fs');
      process.on('SIGTERM', () => process.exit(0));
      setInterval(() => { if (!existsSync(process.env.HOME + '/rest')) for (const end = Date.now() + 30; Date.now() < end; ); }, 100);`;
    const container = {
      name: 'main',
      image: 'node',
      command: [process.execPath, '-e', program],
      resources: { requests: { cpu: '50m' } },
    };
    await client.create(Deployment, {
      metadata: key,
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: 'busy' } },
        template: {
          metadata: { labels: { app: 'busy' } },
          spec: { containers: [container], terminationGracePeriodSeconds: 2 },
        },
      },
    });
    expect(await run('autoscale', 'deployment', 'busy', '--min=1', '--max=2', '--cpu-percent=50')).toBe(
      'horizontalpodautoscaler.autoscaling/busy autoscaled\n',
    );
    const quick = { spec: { behavior: { scaleDown: { stabilizationWindowSeconds: 2 } } } };
    await client.patch(HorizontalPodAutoscaler, key, { type: 'merge', patch: quick });

    const sized = (replicas: number) => async () => {
      const { status } = await client.get(Deployment, key);
      if (status?.readyReplicas !== replicas || status.replicas !== replicas) {
        const scaler = await client.get(HorizontalPodAutoscaler, key);
        throw new Error(JSON.stringify({ deployment: status, scaler: scaler.status }));
      }
      return true;
    };
    await eventually('it grows', sized(2), 30_000);
    const { status } = await client.get(HorizontalPodAutoscaler, key);
    expect(findCondition(status.conditions, 'ScalingActive')).toMatchObject({
      status: 'True',
      reason: 'ValidMetricFound',
    });
    const [heading, row] = await eventually('the table shows it', async () => {
      const lines = (await run('get', 'hpa', 'busy')).trim().split('\n');
      if (!/ +2 +\d+s$/.test(lines[1]!)) throw new Error(lines[1]);
      return lines;
    });
    expect(heading?.split(/\s{2,}/)).toEqual(['NAME', 'REFERENCE', 'TARGETS', 'MINPODS', 'MAXPODS', 'REPLICAS', 'AGE']);
    expect(row).toMatch(/^busy +Deployment\/busy +cpu: \d+%\/50% +1 +2 +2 +\d+s$/);
    const described = (what: RegExp) =>
      eventually(`describe shows ${what}`, async () => what.test(await run('describe', 'hpa', 'busy')));
    await described(/SuccessfulRescale +.*New size: 2; reason: cpu resource utilization/);

    for (const pod of (await client.list(Pod, { namespace })).items) {
      const command = ['sh', '-c', 'touch $HOME/rest'];
      const signal = AbortSignal.timeout(10_000);
      expect(await execInPod(client, { namespace, pod: pod.metadata.name, command, signal })).toBe(0);
    }
    await eventually('it shrinks', sized(1), 30_000);
    await described(/SuccessfulRescale +.*New size: 1; reason: All metrics below target/);
  },
  70_000,
);
