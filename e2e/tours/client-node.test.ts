/**
 * `@kubernetes/client-node` 1.4, the JavaScript client that most use: typed APIs, patches and applies, the object API, watches, informers,
 * logs, exec, attach, copies, port-forward, metrics, leases, health, custom kinds. It has no leader election of its own. Out of `ci/`, as the other real clients.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import Module, { createRequire } from 'node:module';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startCluster, type TestCluster } from '../cluster.js';
import { echo, map, script } from './tour.js';

const fromCi = createRequire(new URL('../../ci/package.json', import.meta.url));

/** It is no dependency of this workspace, so its types are not at hand. */
function library(): any {
  try {
    // The test runner makes Node take a package's `import` entry even where it is required, which is no constructor for `isomorphic-ws`.
    const webSocket = fromCi.resolve('isomorphic-ws');
    const module = new Module(webSocket);
    module.exports = fromCi('./node_modules/ws/index.js');
    module.loaded = true;
    fromCi.cache[webSocket] = module;
    return fromCi('@kubernetes/client-node');
  } catch (error) {
    if (process.env['ORBITKIT_CI'] || (error as { code?: string }).code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
}
const k8s = library();

const namespace = 'library';

describe.skipIf(!k8s)('@kubernetes/client-node (cd ci && npm ci)', () => {
  let cluster: TestCluster;
  let config: any;
  let core: any;
  let apps: any;
  let objects: any;
  beforeAll(async () => {
    cluster = await startCluster();
    config = new k8s.KubeConfig();
    config.loadFromFile(cluster.kubeconfig);
    core = config.makeApiClient(k8s.CoreV1Api);
    apps = config.makeApiClient(k8s.AppsV1Api);
    objects = k8s.KubernetesObjectApi.makeApiClient(config);
    await core.createNamespace({ body: { metadata: { name: namespace } } });
    await eventually('the account of the namespace', () =>
      core.readNamespacedServiceAccount({ namespace, name: 'default' }),
    );
  });
  afterAll(() => cluster?.stop(), 90_000);

  const as = (type: string) => k8s.setHeaderOptions('Content-Type', type);

  it('writes and reads typed objects, without their kind in the body', async () => {
    const created = await core.createNamespacedConfigMap({
      namespace,
      body: { metadata: { name: 'words' }, data: { a: '1' } },
    });
    expect(created.metadata.creationTimestamp).toBeInstanceOf(Date);
    created.data.b = '2';
    const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'words', body: created });
    expect(replaced.data).toEqual({ a: '1', b: '2' });
    const stale = core.replaceNamespacedConfigMap({ namespace, name: 'words', body: created });
    await expect(stale).rejects.toMatchObject({ code: 409 });
    await expect(core.readNamespacedConfigMap({ namespace, name: 'none' })).rejects.toMatchObject({ code: 404 });
    const { items, metadata } = await core.listNamespacedConfigMap({ namespace, limit: 1 });
    expect(items).toHaveLength(1);
    expect(metadata._continue).toBeTypeOf('string');
    const lease = { metadata: { name: 'lead' }, spec: { holderIdentity: 'me', renewTime: new k8s.V1MicroTime() } };
    const coordination = config.makeApiClient(k8s.CoordinationV1Api);
    const { spec } = await coordination.createNamespacedLease({ namespace, body: lease });
    expect(new Date(spec.renewTime).getTime()).toBeCloseTo(Date.now(), -5);
  });

  it('patches in every way', async () => {
    const patch = (type: string, body: unknown, more: object = {}) =>
      core.patchNamespacedConfigMap({ namespace, name: 'words', body, ...more }, as(type));
    expect((await patch(k8s.PatchStrategy.MergePatch, { data: { b: null } })).data).toEqual({ a: '1' });
    expect((await patch(k8s.PatchStrategy.StrategicMergePatch, { data: { c: '3' } })).data).toEqual({ a: '1', c: '3' });
    const operations = [{ op: 'replace', path: '/data/c', value: '4' }];
    expect((await patch(k8s.PatchStrategy.JsonPatch, operations)).data).toEqual({ a: '1', c: '4' });
    const applied = { ...map('words', { d: '5' }) };
    const options = { fieldManager: 'library', force: true };
    expect((await patch(k8s.PatchStrategy.ServerSideApply, applied, options)).data).toEqual({ a: '1', c: '4', d: '5' });
    await expect(
      patch(k8s.PatchStrategy.ServerSideApply, map('words', { c: 'x' }), { fieldManager: 'other' }),
    ).rejects.toMatchObject({ code: 409 });
  });

  it('works on objects of whatever kind', async () => {
    const web = echo('web', 1);
    const described = { ...web, metadata: { ...web.metadata, namespace } };
    expect((await objects.create(described)).spec.replicas).toBe(1);
    const read = await objects.read({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web', namespace },
    });
    expect(read.metadata.uid).toBeTypeOf('string');
    const patched = await objects.patch(
      { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web', namespace }, spec: { replicas: 2 } },
      undefined,
      undefined,
      'library',
      true,
      k8s.PatchStrategy.ServerSideApply,
    );
    expect(patched.spec.replicas).toBe(2);
    const { items } = await objects.list('apps/v1', 'Deployment', namespace);
    expect(items.map(({ metadata }: any) => metadata.name)).toEqual(['web']);
    await eventually('two pods run', async () => {
      const { status } = await apps.readNamespacedDeployment({ namespace, name: 'web' });
      expect(status.readyReplicas).toBe(2);
    });
  });

  it('watches', async () => {
    const seen: string[] = [];
    const controller = await new k8s.Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      { fieldSelector: 'metadata.name=watched', allowWatchBookmarks: true },
      (type: string, object: any) => {
        if (type !== 'BOOKMARK') seen.push(`${type} ${object.metadata.name}`);
      },
      () => {},
    );
    try {
      await core.createNamespacedConfigMap({ namespace, body: map('watched') });
      await core.patchNamespacedConfigMap(
        { namespace, name: 'watched', body: { data: { x: 'y' } } },
        as(k8s.PatchStrategy.MergePatch),
      );
      await core.deleteNamespacedConfigMap({ namespace, name: 'watched' });
      await eventually('three events', () =>
        expect(seen).toEqual(['ADDED watched', 'MODIFIED watched', 'DELETED watched']),
      );
    } finally {
      controller.abort();
    }
  });

  it('informers know what there is, and what happens', async () => {
    const list = () => core.listNamespacedConfigMap({ namespace, labelSelector: 'followed' });
    const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list, 'followed');
    const seen: string[] = [];
    for (const verb of ['add', 'update', 'delete'])
      informer.on(verb, (object: any) => seen.push(`${verb} ${object.metadata.name}`));
    const errors: unknown[] = [];
    informer.on('error', (error: unknown) => errors.push(error));
    const labels = { followed: 'yes' };
    await core.createNamespacedConfigMap({ namespace, body: map('early', {}, { labels }) });
    await informer.start();
    try {
      await core.createNamespacedConfigMap({ namespace, body: map('late', {}, { labels }) });
      await core.patchNamespacedConfigMap(
        { namespace, name: 'early', body: { data: { x: '1' } } },
        as(k8s.PatchStrategy.MergePatch),
      );
      // Without its label it is none of the informer's any more.
      await core.patchNamespacedConfigMap(
        { namespace, name: 'late', body: { metadata: { labels: null } } },
        as(k8s.PatchStrategy.MergePatch),
      );
      await eventually('its events', () =>
        expect(seen).toEqual(['add early', 'add late', 'update early', 'delete late']),
      );
      expect(informer.list().map(({ metadata }: any) => metadata.name)).toEqual(['early']);
      expect(errors).toEqual([]);
    } finally {
      await informer.stop();
    }
  });

  it('reads logs, runs programs in pods and speaks to their ports', async () => {
    const text = 'echo first; echo second; sleep 600';
    await objects.create({ ...script('worker', text), metadata: { name: 'worker', namespace } });
    await eventually('it runs', async () => {
      expect((await core.readNamespacedPod({ namespace, name: 'worker' })).status.phase).toBe('Running');
    });
    await eventually('its log', async () => {
      expect(await core.readNamespacedPodLog({ namespace, name: 'worker', tailLines: 1 })).toBe('second\n');
    });
    const followed = new PassThrough();
    const following = await new k8s.Log(config).log(namespace, 'worker', 'main', followed, { follow: true });
    let said = '';
    followed.on('data', chunk => (said += chunk));
    await eventually('the log is followed', () => said === 'first\nsecond\n');
    following.abort();

    const out = new PassThrough();
    const err = new PassThrough();
    let [output, errors] = ['', ''];
    out.on('data', chunk => (output += chunk));
    err.on('data', chunk => (errors += chunk));
    const command = ['sh', '-c', 'cat; echo oh >&2; exit 3'];
    const status = await new Promise<any>((resolve, reject) => {
      const typed = Readable.from(['typed']);
      new k8s.Exec(config).exec(namespace, 'worker', 'main', command, out, err, typed, false, resolve).catch(reject);
    });
    expect(status).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ message: '3' }] },
    });
    // The library gives its streams what came before the status, but not before it.
    await eventually('all output', () => expect([output, errors]).toEqual(['typed', 'oh\n']));

    const [pod] = (await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items;
    const answer = new PassThrough();
    let answered = '';
    answer.on('data', chunk => (answered += chunk));
    const socket = await new k8s.PortForward(config, true).portForward(
      namespace,
      pod.metadata.name,
      [8080],
      answer,
      null,
      Readable.from(['GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n']),
    );
    await eventually('an answer', () => expect(answered).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*web-/));
    socket.close();
  });

  it('speaks with programs on terminals, of a size that changes, and attaches to them', async () => {
    const shell = script('shell', '', { command: ['sh'], stdin: true, tty: true });
    await objects.create({ ...shell, metadata: { name: 'shell', namespace } });
    await eventually('it runs', async () => {
      expect((await core.readNamespacedPod({ namespace, name: 'shell' })).status.phase).toBe('Running');
    });
    const converse = async (open: (out: PassThrough, keys: PassThrough) => Promise<unknown>) => {
      const screen = Object.assign(new PassThrough(), { rows: 33, columns: 91 });
      const keys = new PassThrough();
      let seen = '';
      screen.on('data', chunk => (seen += chunk));
      await open(screen, keys);
      const says = (size: string) =>
        eventually(`the size ${size}`, async () => {
          const from = seen.length;
          keys.write('stty size; echo "ask"ed\n');
          await eventually('an answer', () => seen.slice(from).includes('asked\r\n'));
          expect(seen.slice(from)).toContain(`\r\n${size}\r\n`);
        });
      await says('33 91');
      screen.rows = 41;
      screen.emit('resize');
      await says('41 91');
      return keys;
    };
    let ended: any;
    const keys = await converse((screen, input) =>
      new k8s.Exec(config).exec(namespace, 'worker', 'main', ['sh'], screen, null, input, true, (status: any) => {
        ended = status;
      }),
    );
    keys.write('exit 5\n');
    await eventually('its end', () => expect(ended.details.causes).toEqual([{ reason: 'ExitCode', message: '5' }]));
    let socket: any;
    await converse(async (screen, input) => {
      socket = await new k8s.Attach(config).attach(namespace, 'shell', 'main', screen, null, input, true);
    });
    socket.close();
    expect((await core.readNamespacedPod({ namespace, name: 'shell' })).status.phase).toBe('Running');
  });

  it('copies a folder into a pod', async () => {
    const [from, to] = [join(cluster.directory, 'from'), join(cluster.directory, 'to')];
    await mkdir(from, { recursive: true });
    // Its owner is the pod's user.
    await cluster.run('mkdir', [to]);
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => index % 251));
    await writeFile(join(from, 'blob'), bytes);
    // Out of a pod the library of this version reads compressed bytes as plain ones, and fails.
    await new k8s.Cp(config).cpToPod(namespace, 'worker', 'main', from, to);
    await eventually('the file is there', async () =>
      expect((await readFile(join(to, 'blob'))).equals(bytes)).toBe(true),
    );
  });

  it('reads in pages, and watches from a version on until its time is over', async () => {
    const names = ['p1', 'p2', 'p3', 'p4', 'p5'];
    for (const name of names)
      await core.createNamespacedConfigMap({ namespace, body: map(name, {}, { labels: { page: 'yes' } }) });
    const read: string[] = [];
    let next: string | undefined;
    let pages = 0;
    let resourceVersion = '';
    do {
      const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'page', limit: 2, _continue: next });
      read.push(...list.items.map(({ metadata }: any) => metadata.name));
      ({ resourceVersion } = list.metadata);
      next = list.metadata._continue;
      pages += 1;
    } while (next);
    expect([read, pages]).toEqual([names, 3]);
    await core.deleteNamespacedConfigMap({ namespace, name: 'p1' });
    const seen: string[] = [];
    const over = new Promise(resolve => {
      const query = { resourceVersion, labelSelector: 'page', timeoutSeconds: 2 };
      void new k8s.Watch(config).watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        query,
        (type: string, object: any) => seen.push(`${type} ${object.metadata.name}`),
        resolve,
      );
    });
    // Its stream ends in order: the library calls that no error, or an aborted body.
    expect(await over).toSatisfy((error: any) => !error || /Premature close|aborted/i.test(`${error.message}`));
    expect(seen).toEqual(['DELETED p1']);
  });

  it('two candidates take one lease in turn: who is late is told so', async () => {
    const leases = config.makeApiClient(k8s.CoordinationV1Api);
    const body = { metadata: { name: 'turns' }, spec: { holderIdentity: '', leaseDurationSeconds: 15 } };
    await leases.createNamespacedLease({ namespace, body });
    const take = async (lease: any, holderIdentity: string) =>
      leases.replaceNamespacedLease({
        namespace,
        name: 'turns',
        body: { ...lease, spec: { ...lease.spec, holderIdentity, renewTime: new k8s.V1MicroTime() } },
      });
    const [first, second] = await Promise.all(
      ['a', 'b'].map(() => leases.readNamespacedLease({ namespace, name: 'turns' })),
    );
    const [a, b] = await Promise.allSettled([take(first, 'a'), take(second, 'b')]);
    expect([a.status, b.status].sort()).toEqual(['fulfilled', 'rejected']);
    const holder = a.status === 'fulfilled' ? 'a' : 'b';
    const lost: any = a.status === 'rejected' ? a : b;
    expect(lost.reason).toMatchObject({ code: 409 });
    const held = await leases.readNamespacedLease({ namespace, name: 'turns' });
    expect(held.spec.holderIdentity).toBe(holder);
    expect((await take(held, holder === 'a' ? 'b' : 'a')).spec.holderIdentity).toBe(holder === 'a' ? 'b' : 'a');
  });

  it('defines kinds and works on their objects', async () => {
    const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
    const custom = config.makeApiClient(k8s.CustomObjectsApi);
    const schema = {
      type: 'object',
      properties: { spec: { type: 'object', x_kubernetes_preserve_unknown_fields: true } },
    };
    const where = { group: 'library.example.com', version: 'v1', plural: 'books', namespace };
    await extensions.createCustomResourceDefinition({
      body: {
        metadata: { name: 'books.library.example.com' },
        spec: {
          group: where.group,
          scope: 'Namespaced',
          names: { plural: 'books', kind: 'Book' },
          versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: schema } }],
        },
      },
    });
    const book = { apiVersion: 'library.example.com/v1', kind: 'Book', metadata: { name: 'one' }, spec: { pages: 3 } };
    await eventually('it is served', () => custom.createNamespacedCustomObject({ ...where, body: book }));
    const patched = await custom.patchNamespacedCustomObject(
      { ...where, name: 'one', body: { spec: { pages: 4 } } },
      as(k8s.PatchStrategy.MergePatch),
    );
    expect(patched.spec).toEqual({ pages: 4 });
    expect((await custom.listNamespacedCustomObject(where)).items).toHaveLength(1);
    await extensions.deleteCustomResourceDefinition({ name: 'books.library.example.com' });
  });

  it('asks whether the server is well, evicts, and tries without doing', async () => {
    expect(await new k8s.Health(config).readyz({})).toBe(true);
    expect(await new k8s.Health(config).livez({})).toBe(true);
    const tried = await core.createNamespacedConfigMap({ namespace, body: map('tried'), dryRun: 'All' });
    expect(tried.metadata.uid).toBeTypeOf('string');
    await expect(core.readNamespacedConfigMap({ namespace, name: 'tried' })).rejects.toMatchObject({ code: 404 });
    await core.createNamespacedPodEviction({
      namespace,
      name: 'shell',
      body: { metadata: { name: 'shell' }, deleteOptions: { gracePeriodSeconds: 1 } },
    });
    await eventually('it is gone', () =>
      expect(core.readNamespacedPod({ namespace, name: 'shell' })).rejects.toMatchObject({ code: 404 }),
    );
  });

  it('knows what pods and nodes use', async () => {
    const metrics = new k8s.Metrics(config);
    await eventually('usage', async () => {
      expect((await metrics.getNodeMetrics()).items).toHaveLength(2);
      expect((await metrics.getPodMetrics(namespace)).items.length).toBeGreaterThan(0);
    });
    expect(await k8s.topNodes(core)).toHaveLength(2);
  });

  it('deletes, with dependents', async () => {
    const body = { propagationPolicy: 'Foreground' };
    await apps.deleteNamespacedDeployment({ namespace, name: 'web', body });
    await eventually('nothing of it is left', async () => {
      expect((await core.listNamespacedPod({ namespace, labelSelector: 'app=web' })).items).toEqual([]);
    });
    await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'followed' });
    expect((await core.listNamespacedConfigMap({ namespace, labelSelector: 'followed' })).items).toEqual([]);
    const reviews = config.makeApiClient(k8s.AuthorizationV1Api);
    const review = { spec: { resourceAttributes: { verb: 'list', resource: 'pods' } } };
    expect((await reviews.createSelfSubjectAccessReview({ body: review })).status.allowed).toBe(true);
  });
});
