/** How `orbit` ends: `orbit up` on SIGTERM, and every reported error with an exit code other than 0 and a message that says what to do. */
import { existsSync } from 'node:fs';
import { Deployment, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, lingerMs, startCluster, type TestCluster } from './cluster.js';
import { echoDeployment, namesOf, podOf, readyPods, running, shellContainer } from './manifests.js';

const namespace = 'default';

describe('orbit up', () => {
  it('stops its pods on SIGTERM, gives them their time, and ends with exit code 0', async () => {
    const cluster = await startCluster();
    try {
      await cluster.client.create(Deployment, echoDeployment('web', 3));
      const goodbye = `trap "touch ${cluster.directory}/goodbye; exit 0" TERM; while :; do sleep 0.1; done`;
      await cluster.client.create(Pod, podOf('polite', shellContainer(goodbye), { terminationGracePeriodSeconds: 10 }));
      const names = namesOf(await readyPods(cluster, 'web', 3));
      await running(cluster, 'polite');
      for (const name of [...names, 'polite']) expect(cluster.podProcess(name)).toBeDefined();
      expect(await cluster.kill('up', 'SIGTERM')).toBe(0);
      expect(existsSync(`${cluster.directory}/goodbye`)).toBe(true);
      await eventually('no process is left', () => cluster.processes().length === 0, lingerMs);
    } finally {
      await cluster.stop();
    }
  }, 60_000);

  it('refuses a second one on the same directory, and a port that is taken', async () => {
    const cluster = await startCluster({ nodes: 1 });
    try {
      const second = await cluster.orbit(['up', '--data-dir', 'data', '--listen', '127.0.0.1:0']);
      expect(second.code).not.toBe(0);
      expect(second.err).toMatch(/data/);
      const { port } = new URL(serverOf(await cluster.run('cat', [cluster.kubeconfig])));
      const taken = await cluster.orbit(['up', '--data-dir', 'other', '--listen', `127.0.0.1:${port}`]);
      expect(taken.code).not.toBe(0);
      expect(taken.err).toContain(port);
    } finally {
      await cluster.stop();
    }
  }, 60_000);
});

const serverOf = ({ out }: { out: string }): string => /server: "?(https:[^\s"]+)/.exec(out)?.[1] ?? '';

describe('a bad invocation of orbit', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    await cluster.file('bad.yaml', 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n bad: indentation\n');
    await cluster.file('wrong.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: { name: x }\nspec: { containers: [] }\n');
    await cluster.file('unknown.yaml', 'apiVersion: v1\nkind: Nonsense\nmetadata: { name: x }\n');
    await cluster.client.create(Pod, podOf('short', shellContainer('sleep 1000')));
    await running(cluster, 'short');
  });
  afterAll(() => cluster?.stop(), 90_000);

  const table: [words: string, says: RegExp, code?: number][] = [
    ['', /Usage: orbit/],
    ['frobnicate', /unknown command 'frobnicate'/],
    ['get', /missing required argument|resource type/],
    ['get pods --nonsense', /unknown option '--nonsense'/],
    ['get nonsense', /nonsense/],
    ['get pod nobody', /pods "nobody" not found/],
    ['get pods -o nonsense', /nonsense/],
    ['get pods -l a=b=c', /unable to parse requirement: found '='/],
    ['describe pod nobody', /not found/],
    ['delete pod nobody', /not found/],
    ['delete pod', /name/],
    ['apply -f missing.yaml', /missing\.yaml/],
    ['apply -f bad.yaml', /bad\.yaml:\d+/],
    ['apply -f wrong.yaml', /spec\.containers/],
    ['create -f unknown.yaml', /Nonsense/],
    ['scale deployment nobody --replicas 2', /not found/],
    ['scale pod short --replicas 2', /scale/],
    ['logs nobody', /not found/],
    ['logs short --tail x', /--tail x/],
    ['logs short -c nonsense', /nonsense/],
    ['exec nobody -- true', /not found/],
    ['exec short -- false', /exit code 1/, 1],
    ['edit pod nobody', /not found/],
    ['ui', /terminal/],
    ['up --listen nonsense', /--listen nonsense: HOST:PORT/],
    ['up --nodes 0', /--nodes 0/],
    ['up --runtime nonsense', /--runtime nonsense: one of process, docker/],
    ['up --profile nonsense', /--profile nonsense/],
    ['up --heartbeat x', /--heartbeat x/],
    ['scheduler --profile nonsense', /--profile nonsense/],
    ['node --runtime nonsense', /--runtime nonsense/],
    ['controller-manager --data-dir empty', /empty\/network\.json/],
    ['--kubeconfig missing get pods', /missing/],
    ['--context nonsense get pods', /nonsense/],
  ];
  it.each(table)('orbit %s', async (words, says, code) => {
    const ran = await cluster.orbit(words.split(' ').filter(Boolean));
    expect(ran.code).not.toBe(0);
    if (code !== undefined) expect(ran.code).toBe(code);
    expect(ran.err).toMatch(says);
    expect(ran.err).not.toMatch(/^\s+at /m);
  });

  it('shows who owns which fields when asked', async () => {
    const plain = await cluster.orbit(['get', 'pod', 'short', '-o', 'yaml']);
    expect(plain).toMatchObject({ code: 0, out: expect.not.stringContaining('managedFields') });
    const whole = await cluster.orbit(['get', 'pod', 'short', '-o', 'yaml', '--show-managed-fields']);
    expect(whole).toMatchObject({ code: 0, out: expect.stringContaining('managedFields:\n    - manager:') });
  });

  it('says where nothing listens', async () => {
    const kubeconfig = await cluster.run('cat', [cluster.kubeconfig]);
    await cluster.file('nowhere', kubeconfig.out.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1'));
    const ran = await cluster.orbit(['--kubeconfig', 'nowhere', 'get', 'pods']);
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('127.0.0.1:1');
    await cluster.client.delete(Pod, { namespace, name: 'short' });
  });
});
