/**
 * Real Helm with a chart of our own: install, upgrade, rollback, test and uninstall, with hooks and `--wait`. `npm test` takes Helm 4 (every
 * manifest is a server-side apply, releases are protobuf secrets); the long run Helm 3.12 as well.
 */
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigMap, Deployment, Secret } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Ran, startCluster, type TestCluster } from '../cluster.js';
import { helmPath } from './clients.js';

const full = process.env['ORBITKIT_TOURS'] === 'full';
const namespace = 'helm';
const stepMs = 100_000;

describe.each(full ? [35, 27] : [35])('Helm beside kubectl 1.%i', minor => {
  const binary = helmPath(minor);
  if (!binary) {
    it.skip('needs Helm: cd ci && npm ci', () => {});
    return;
  }
  let cluster: TestCluster;
  let chart: string;
  beforeAll(async () => {
    cluster = await startCluster();
    chart = join(cluster.directory, 'chart');
    await cp(fileURLToPath(new URL('chart', import.meta.url)), chart, { recursive: true });
  });
  afterAll(() => cluster?.stop(), 90_000);

  const helm = (words: string): Promise<Ran> =>
    cluster.run(binary, ['-n', namespace, ...words.split(' ')], { timeoutMs: 80_000 });
  async function ok(words: string): Promise<string> {
    const { code, out, err } = await helm(words);
    if (code !== 0) expect.fail(`helm ${words} ended with ${code}\n${out}\n${err}`);
    return out;
  }
  const deployment = () => cluster.client.get(Deployment, { namespace, name: 'web' });
  const data = async (name: string) => (await cluster.client.get(ConfigMap, { namespace, name })).data;
  const wait = '--wait --timeout 60s';

  it(
    'installs, runs the hooks in their order and waits',
    async () => {
      expect(await ok(`install web ${chart} --create-namespace ${wait}`)).toMatch(/STATUS: deployed\nREVISION: 1/);
      expect((await deployment()).status).toMatchObject({ readyReplicas: 1 });
      expect(await data('web-words')).toEqual({ greeting: 'hello', namespace: 'found' });
      expect(await data('web-after')).toEqual({ revision: '1' });
      const { items } = await cluster.client.list(Secret, { namespace });
      expect(items.filter(({ type }) => type === 'helm.sh/release.v1').map(({ metadata }) => metadata.name)).toEqual([
        'sh.helm.release.v1.web.v1',
      ]);
      expect(JSON.parse(await ok('list -o json'))).toMatchObject([{ name: 'web', revision: '1', chart: 'shop-1.2.3' }]);
      expect(await ok('get manifest web')).toContain('kind: Deployment');
      expect(await ok('get hooks web')).toContain('web-before');
      const again = await helm(`install web ${chart}`);
      expect([again.code, again.err]).toEqual([1, expect.stringMatching(/cannot re-?use a name that is still in use/)]);
    },
    stepMs,
  );

  it(
    'upgrades',
    async () => {
      const words = `upgrade web ${chart} --set replicas=2,greeting=again,image=orbitkit/echo:2`;
      // Helm 3.12 knows one dry run, which asks the server as this one does.
      expect(await ok(`${words} --dry-run${minor < 30 ? '' : '=server'}`)).toMatch(/replicas: 2/);
      expect((await deployment()).spec?.replicas).toBe(1);
      expect(await ok(`${words} ${wait}`)).toContain('REVISION: 2');
      expect(await deployment()).toMatchObject({
        spec: { replicas: 2 },
        status: { readyReplicas: 2, updatedReplicas: 2 },
      });
      expect(await data('web-words')).toMatchObject({ greeting: 'again' });
      expect(await data('web-after')).toEqual({ revision: '2' });
      expect(JSON.parse(await ok('get values web -o json'))).toEqual({
        replicas: 2,
        greeting: 'again',
        image: 'orbitkit/echo:2',
      });
    },
    stepMs,
  );

  it(
    'an upgrade that never gets ready fails after its time, and is rolled back',
    async () => {
      const failed = await helm(`upgrade web ${chart} --set fail=true --wait --timeout 5s`);
      expect(failed.code).toBe(1);
      expect(JSON.parse(await ok('history web -o json')).at(-1)).toMatchObject({ revision: 3, status: 'failed' });
      expect(await ok(`rollback web 1 ${wait}`)).toContain('Rollback was a success');
      expect(await deployment()).toMatchObject({ spec: { replicas: 1 }, status: { readyReplicas: 1 } });
      expect((await deployment()).spec?.template.spec?.containers[0]).not.toHaveProperty('readinessProbe');
      expect(await data('web-words')).toMatchObject({ greeting: 'hello' });
      expect(JSON.parse(await ok('history web -o json')).at(-1)).toMatchObject({ revision: 4, status: 'deployed' });
    },
    stepMs,
  );

  it(
    'tests, and changes by hand are put right by the next upgrade',
    async () => {
      expect(await ok('test web --timeout 60s')).toMatch(/Phase:\s+Succeeded/);
      await cluster.client.patch(
        ConfigMap,
        { namespace, name: 'web-words' },
        {
          type: 'merge',
          patch: { data: { other: 'by hand' } },
        },
      );
      expect(await ok(`upgrade web ${chart} --set greeting=third ${wait}`)).toContain('REVISION: 5');
      expect(await data('web-words')).toMatchObject({ greeting: 'third', other: 'by hand' });
    },
    stepMs,
  );

  it(
    'uninstalls',
    async () => {
      expect(await ok(`uninstall web ${wait}`)).toContain('release "web" uninstalled');
      await eventually('nothing of it is left', async () => {
        const { items } = await cluster.client.list(Deployment, { namespace });
        expect(items).toEqual([]);
        expect(
          (await cluster.client.list(Secret, { namespace })).items.filter(({ type }) => type?.startsWith('helm')),
        ).toEqual([]);
      });
      expect((await helm('status web')).code).toBe(1);
    },
    stepMs,
  );
});
