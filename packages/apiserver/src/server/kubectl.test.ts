/**
 * Real kubectl against the server over TLS, with the administrator's kubeconfig: each verb is run and its output read. No controller and
 * no node runs here; what they would write is written by the test.
 *
 * kubectl 1.32 and 1.35 come from `ci/` (`cd ci && npm install`); in CI a missing one is a failure.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Client, ConfigMap, compose, Deployment, Node, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import {
  type ApiServer,
  apiServer,
  certificateFingerprint,
  createAuthority,
  issueServingCertificate,
  memoryStore,
  servingCertificateAnnotation,
} from '../index.js';
import { kubectlPath } from '../testing/kubectl-program.js';

/** The other end of exec and logs: what a node agent serves, as far as these commands need it. */
async function agentServer(identity: { certificate: string; key: string; clientAuthority: string }): Promise<Server> {
  const server = createHttpsServer(
    {
      cert: identity.certificate,
      key: identity.key,
      ca: identity.clientAuthority,
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      if (!request.url!.startsWith('/containerLogs/default/web/c'))
        return void response.writeHead(404).end('no such container');
      response.write('first line\n');
      setTimeout(() => response.end('last line\n'), request.url!.includes('follow=true') ? 200 : 0);
    },
  );
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: offered => (offered.has('v5.channel.k8s.io') ? 'v5.channel.k8s.io' : false),
  });
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, ws => {
      const command = new URL(request.url!, 'https://agent').searchParams.getAll('command');
      const status = (value: object) => ws.send(Buffer.concat([Buffer.from([3]), Buffer.from(JSON.stringify(value))]));
      const finish = () => {
        if (command[0] === 'false')
          status({
            metadata: {},
            status: 'Failure',
            reason: 'NonZeroExitCode',
            message: 'command terminated with non-zero exit code: exit status 7',
            details: { causes: [{ reason: 'ExitCode', message: '7' }] },
          });
        else status({ metadata: {}, status: 'Success' });
        ws.close(1000);
      };
      if (command[0] !== 'cat') {
        ws.send(Buffer.from(`\x01ran ${command.join(' ')}\n`));
        return finish();
      }
      ws.on('message', (data: Buffer) => {
        if (data[0] === 0) ws.send(Buffer.concat([Buffer.from([1]), data.subarray(1)]));
        if (data[0] === 255 && data[1] === 0) finish();
      });
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe.each(['32', '35'])('kubectl 1.%s', minor => {
  const binary = kubectlPath(minor);
  if (binary === undefined) {
    it.skip(`needs kubectl 1.${minor}: cd ci && npm install`, () => undefined);
    return;
  }
  let dir: string;
  let api: ApiServer;
  let client: Client;
  let agent: Server;
  let stop: () => Promise<void>;
  const children = new Set<ChildProcess>();

  const environment = (more: Record<string, string> = {}) => ({
    PATH: process.env['PATH']!,
    HOME: dir,
    KUBECONFIG: path.join(dir, 'kubeconfig'),
    ...more,
  });

  interface Ran {
    code: number;
    out: string;
    err: string;
  }
  function run(args: string, options: { input?: string; env?: Record<string, string> } = {}): Promise<Ran> {
    return new Promise(resolve => {
      const child = execFile(
        binary!,
        args.split(' '),
        { env: environment(options.env), timeout: 20_000 },
        (error, out, err) => resolve({ code: error ? Number(error.code ?? -1) : 0, out, err }),
      );
      child.stdin!.end(options.input ?? '');
    });
  }
  async function ok(args: string, options: Parameters<typeof run>[1] = {}): Promise<string> {
    const { code, out, err } = await run(args, options);
    expect(`${args}: ${code} ${err}`).toBe(`${args}: 0 `);
    return out;
  }

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'orbitkit-kubectl-'));
    api = apiServer({
      store: memoryStore(),
      listen: { port: 0 },
      dataDir: dir,
      kubeconfig: path.join(dir, 'kubeconfig'),
    });
    const stopping = new AbortController();
    const composition = compose(api);
    const running = composition.run({ signal: stopping.signal });
    stop = () => {
      stopping.abort();
      return running;
    };
    await composition.ready;
    client = api.clientFor({ username: 'test', groups: ['system:masters'] });
    const authority = await createAuthority({ dir: path.join(dir, 'pki') });
    const serving = await issueServingCertificate(authority, { name: 'agent' });
    agent = await agentServer({ ...serving, clientAuthority: authority.certificate });
    await client.create(Node, {
      metadata: {
        name: 'n1',
        annotations: { [servingCertificateAnnotation]: certificateFingerprint(serving.certificate) },
      },
    } as never);
    const node = await client.get(Node, { name: 'n1' });
    await client.updateStatus(Node, {
      ...node,
      status: {
        addresses: [{ type: 'InternalIP', address: '127.0.0.1' }],
        daemonEndpoints: { kubeletEndpoint: { Port: (agent.address() as AddressInfo).port } },
        conditions: [{ type: 'Ready', status: 'True' }],
      },
    } as never);
  });
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await stop();
    agent.closeAllConnections();
    await new Promise(resolve => agent.close(resolve));
    await rm(dir, { recursive: true, force: true });
  });

  const map = (data: Record<string, string>) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data });
  const deployment = (image: string) => `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: ${image}, ports: [{containerPort: 80}]}
      - {name: side, image: side}
`;

  it('knows the server and what it has', async () => {
    // kubectl 1.35 adds a warning here, and only here: its minor differs by two.
    expect(await run('version')).toMatchObject({ code: 0, out: expect.stringContaining('Server Version: v1.33.') });
    expect(await ok('get namespaces')).toMatch(/^NAME +STATUS +AGE\ndefault +Active +\d+s\n/);
    expect(await ok('api-resources --namespaced=true -o name')).toContain('deployments.apps\n');
    expect(await ok('api-versions')).toContain('apps/v1\n');
    expect(await ok('explain deployment.spec.replicas')).toMatch(/FIELD: +replicas <integer>/);
    expect(await ok('get --raw /readyz')).toBe('ok');
    expect(await run('get pods')).toMatchObject({
      code: 0,
      out: '',
      err: expect.stringContaining('No resources found in default namespace.'),
    });
    expect(await run('get things')).toMatchObject({
      code: 1,
      err: expect.stringContaining('the server doesn\'t have a resource type "things"'),
    });
    expect(await run('get configmap nothing')).toMatchObject({
      code: 1,
      err: 'Error from server (NotFound): configmaps "nothing" not found\n',
    });
  });

  it('creates, gets in every form, and deletes', async () => {
    expect(await ok('create -f -', { input: map({ a: '1' }) })).toBe('configmap/settings created\n');
    expect(await run('create -f -', { input: map({}) })).toMatchObject({
      code: 1,
      err: expect.stringContaining('configmaps "settings" already exists'),
    });
    expect(await ok('get cm settings')).toMatch(/^NAME +DATA +AGE\nsettings +1 +\d+s\n$/);
    expect(await ok('get cm settings -o yaml')).toMatch(/^apiVersion: v1\ndata:\n {2}a: "1"\nkind: ConfigMap\n/);
    expect(JSON.parse(await ok('get cm -o json')).items[0].data).toEqual({ a: '1' });
    expect(await ok('get cm -o name')).toBe('configmap/settings\n');
    expect(await ok('get cm --sort-by=.metadata.name -o wide')).toContain('settings');
    expect(await ok('get cm -A --chunk-size=1 -o name')).toBe(
      'configmap/settings\nconfigmap/extension-apiserver-authentication\n',
    );
    expect(await ok('describe cm settings')).toMatch(/Name: +settings\nNamespace: +default\n/);
    const strict = await run('create -f -', {
      input: JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x' }, dat: {} }),
    });
    expect(strict).toMatchObject({ code: 1, err: expect.stringContaining('unknown field "dat"') });
    expect(await ok('create -f - --dry-run=server -o name', { input: map({}).replace('settings', 'dry') })).toBe(
      'configmap/dry\n',
    );
    expect(await ok('delete cm settings')).toMatch(/^configmap "settings" deleted/);
    expect(await run('get cm -o name')).toMatchObject({ code: 0, out: '' });
  });

  it('applies: created, unchanged, configured', async () => {
    expect(await ok('apply -f -', { input: deployment('one') })).toBe('deployment.apps/web created\n');
    expect(await ok('apply -f -', { input: deployment('one') })).toBe('deployment.apps/web unchanged\n');
    expect(await ok('apply -f -', { input: deployment('two') })).toBe('deployment.apps/web configured\n');
    const { spec } = await client.get(Deployment, { name: 'web', namespace: 'default' });
    expect(spec.template.spec!.containers.map(({ name, image }) => [name, image])).toEqual([
      ['c', 'two'],
      ['side', 'side'],
    ]);
    const diff = await run('diff -f -', { input: deployment('three') });
    expect(diff).toMatchObject({ code: 1, out: expect.stringMatching(/-\s+- image: two\n\+\s+- image: three/) });
    expect(await ok('get deploy web -o wide')).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\nweb +0\/2 +0 +0 +\d+s +c,side +two,side +app=web\n$/,
    );
  });

  it('applies on the server: owners, conflicts, force, differences, and the way there from the client', async () => {
    const owned = (data: string) =>
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, namespace: default}\ndata: ${data}\n`;
    const apply = (data: string, flags = '') => run(`apply --server-side${flags} -f -`, { input: owned(data) });
    const done = { code: 0, out: 'configmap/owned serverside-applied\n', err: '' };
    expect(await apply('{a: one}')).toEqual(done);
    expect(await apply('{a: one}', ' --field-manager=other')).toEqual(done);
    const refused = await apply('{a: two}', ' --field-manager=other');
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('Apply failed with 1 conflict: conflict with "kubectl": .data.a');
    const diff = await run('diff --server-side --force-conflicts --field-manager=other -f -', {
      input: owned('{a: two}'),
    });
    expect(diff).toMatchObject({ code: 1, out: expect.stringMatching(/-\s+a: one\n\+\s+a: two/) });
    expect(await apply('{a: two, b: x}', ' --field-manager=other --force-conflicts')).toEqual(done);
    expect(await ok('get cm owned -o yaml')).not.toContain('managedFields');
    expect(await ok('get cm owned -o yaml --show-managed-fields')).toMatch(/manager: other\n +operation: Apply/);
    expect(await ok('get cm owned --server-print=true')).toMatch(/owned +2/);

    expect(await ok('apply -f -', { input: owned('{c: before}').replace('owned', 'moved') })).toBe(
      'configmap/moved created\n',
    );
    const moved = { input: owned('{c: after}').replace('owned', 'moved') };
    expect(await ok('apply --server-side -f -', moved)).toBe('configmap/moved serverside-applied\n');
    const { metadata } = await client.get(ConfigMap, { name: 'moved', namespace: 'default' });
    // kubectl gives its annotation to a manager of its own on the way.
    const managers = metadata.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`).sort();
    expect(managers).toEqual(['kubectl Apply', 'kubectl-last-applied Apply']);
    expect(await ok('apply --server-side --dry-run=server -f -', moved)).toContain(
      'serverside-applied (server dry run)',
    );
    await ok('delete cm owned moved');
  });

  it('labels, annotates, scales, sets, patches and edits', async () => {
    expect(await ok('label deploy web tier=front')).toBe('deployment.apps/web labeled\n');
    expect(await ok('get deploy -l tier=front -o name')).toBe('deployment.apps/web\n');
    expect(await ok('annotate deploy web note=hello')).toBe('deployment.apps/web annotated\n');
    expect(await ok('scale deploy web --replicas=5')).toBe('deployment.apps/web scaled\n');
    expect(await ok('scale deploy web --replicas=3 --current-replicas=5')).toBe('deployment.apps/web scaled\n');
    expect(await ok('get deploy web -o jsonpath={.spec.replicas}')).toBe('3');
    expect(await ok('set image deploy/web c=four')).toBe('deployment.apps/web image updated\n');
    expect(await ok('patch deploy web --type=json -p [{"op":"replace","path":"/spec/replicas","value":1}]')).toBe(
      'deployment.apps/web patched\n',
    );
    const editor = path.join(dir, 'editor.sh');
    await writeFile(editor, '#!/bin/sh\nsed -i "s/image: four/image: five/" "$1"\n');
    await chmod(editor, 0o755);
    expect(await ok('edit deploy web', { env: { EDITOR: editor } })).toBe('deployment.apps/web edited\n');
    const { spec, metadata } = await client.get(Deployment, { name: 'web', namespace: 'default' });
    expect([spec.replicas, spec.template.spec!.containers[0]!.image, metadata.annotations!['note']]).toEqual([
      1,
      'five',
      'hello',
    ]);
    expect(await ok('rollout restart deploy web')).toBe('deployment.apps/web restarted\n');
    expect(await ok('describe deploy web')).toMatch(/Replicas: +1 desired/);
  });

  it('waits for a condition and for a deletion', async () => {
    const key = { name: 'web', namespace: 'default' };
    const condition = run('wait deploy/web --for=condition=Available --timeout=15s');
    const object = await client.get(Deployment, key);
    await client.updateStatus(Deployment, {
      ...object,
      status: { conditions: [{ type: 'Available', status: 'True' }] },
    } as never);
    expect(await condition).toMatchObject({ code: 0, out: 'deployment.apps/web condition met\n' });
    await client.patch(Deployment, key, { type: 'merge', patch: { metadata: { finalizers: ['example.com/wait'] } } });
    const deleted = run('delete deploy web --timeout=15s');
    while ((await client.get(Deployment, key)).metadata.deletionTimestamp === undefined)
      await new Promise(resolve => setTimeout(resolve, 10));
    await client.patch(Deployment, key, { type: 'merge', patch: { metadata: { finalizers: null } } });
    expect(await deleted).toMatchObject({ code: 0, out: expect.stringMatching(/^deployment.apps "web" deleted/) });
  });

  it('watches with the rows of a table', async () => {
    await client.create(ConfigMap, { metadata: { name: 'seen', namespace: 'default' } });
    const child = spawn(binary, ['get', 'cm', '-w'], { env: environment() });
    children.add(child);
    let text = '';
    let changed: () => void = () => undefined;
    child.stdout.on('data', data => {
      text += data;
      changed();
    });
    const until = async (is: (seen: string) => boolean) => {
      while (!is(text)) await new Promise<void>(resolve => (changed = resolve));
    };
    await until(seen => seen.includes('seen'));
    await client.create(ConfigMap, { metadata: { name: 'later', namespace: 'default' }, data: { k: 'v' } });
    await until(seen => /later.*\n/.test(seen));
    expect(text).toMatch(/^NAME +DATA +AGE\nseen +0 +\d+s\nlater +1 +\d+s\n$/);
    child.kill();
  });

  it("reads logs and runs commands through the node's agent", async () => {
    await client.create(Pod, {
      metadata: { name: 'web', namespace: 'default' },
      spec: { nodeName: 'n1', containers: [{ name: 'c', image: 'i' }] },
    } as never);
    expect(await ok('logs web')).toBe('first line\nlast line\n');
    expect(await ok('logs -f web')).toBe('first line\nlast line\n');
    expect(await ok('exec web -- echo hi')).toBe('ran echo hi\n');
    expect(await run('exec web -- false')).toMatchObject({ code: 7 });
    const input = 'x'.repeat(200_000);
    expect(await ok('exec -i web -- cat', { input })).toBe(input);
    expect(await run('exec web -c nope -- sh')).toMatchObject({
      code: 1,
      err: expect.stringContaining('container nope is not valid for pod web'),
    });
    expect(await run('port-forward pod/web 0:80')).toMatchObject({ code: 1 });
  });

  it('writes typed objects, which newer ones send as protobuf', async () => {
    expect(await ok('create configmap typed --from-literal=a=b')).toBe('configmap/typed created\n');
    expect(await ok('get configmap typed -o jsonpath={.data}')).toBe('{"a":"b"}');
  });

  it('is who it says it is, and who it impersonates', async () => {
    expect(await run('get ns --as=joe')).toMatchObject({
      code: 1,
      err: expect.stringContaining('User "joe" cannot list resource "namespaces"'),
    });
    expect(await ok('get ns default -o name --as=joe --as-group=system:masters')).toBe('namespace/default\n');
    expect(await run('get ns --token=wrong')).toMatchObject({
      code: 1,
      err: expect.stringContaining('You must be logged in'),
    });
  });
});
