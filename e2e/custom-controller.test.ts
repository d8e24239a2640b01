/** The example operator as a process beside a cluster of real processes: its website is served, follows changes, and goes without a trace. */
import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { type DynamicObject, Lease, type ResourceRef } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually, startCluster, type TestCluster } from './cluster.js';

const example = fileURLToPath(new URL('../examples/custom-controller/', import.meta.url));
const Website: ResourceRef<DynamicObject> = {
  ...{ group: 'example.com', version: 'v1', kind: 'Website', plural: 'websites', namespaced: true },
};
const key = { name: 'hello', namespace: 'default' };

let cluster: TestCluster;
let operator: ChildProcess;
let said = '';
beforeAll(async () => {
  cluster = await startCluster({ nodes: 1 });
  operator = cluster.spawn(process.execPath, [`${example}dist/main.js`, '--kubeconfig', cluster.kubeconfig]);
  operator.stdout?.on('data', chunk => {
    said += chunk;
  });
  operator.stderr?.on('data', chunk => {
    said += chunk;
  });
  await eventually('the operator is ready', () => said.includes('website operator is ready'));
}, 240_000);
afterAll(async () => {
  if (operator.exitCode === null) operator.kill('SIGKILL');
  await cluster?.stop();
}, 90_000);

it('serves a website, follows its changes, and takes everything away with it', async () => {
  const manifest = await readFile(`${example}manifests/website.yaml`, 'utf8');
  await cluster.file('website.yaml', manifest);
  expect(await cluster.orbit(['apply', '-f', 'website.yaml'])).toMatchObject({ code: 0 });
  const ready = async (replicas: number) => {
    const { status } = await cluster.client.get(Website, key);
    return status?.readyReplicas === replicas && status.conditions?.[0]?.status === 'True' && (status.url as string);
  };
  const url = await eventually('two servers are ready', () => ready(2), 60_000);
  await eventually(
    'the page is served',
    async () => (await (await fetch(url as string)).text()).includes('Hello'),
    60_000,
  );
  const listed = await cluster.orbit(['get', 'websites']);
  expect(listed.out).toMatch(/NAME\s+READY\s+URL\s+AGE\nhello\s+2\s+http:/);
  expect(await cluster.orbit(['scale', 'website', 'hello', '--replicas', '3'])).toMatchObject({ code: 0 });
  await eventually('three servers are ready', () => ready(3), 60_000);
  const refused = await cluster.orbit(['scale', 'website', 'hello', '--replicas', '4']);
  expect(refused.err).toContain('a small website has at most 3 replicas');
  expect(await cluster.orbit(['delete', 'website', 'hello'])).toMatchObject({ code: 0 });
  const owned = ['get', 'deployments,configmaps', '-l', 'app.kubernetes.io/managed-by=website'];
  await eventually('all is gone', async () => !(await cluster.orbit(owned)).out.includes('hello'), 60_000);
  expect(said).toContain('withdrawn');

  const gone = new Promise(resolve => operator.once('exit', resolve));
  operator.kill('SIGTERM');
  expect(await gone).toBe(0);
  const lease = await cluster.client.get(Lease, { name: 'website', namespace: 'kube-system' });
  expect(lease.spec.holderIdentity).toBe('');
}, 240_000);
