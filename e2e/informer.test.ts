/** The informer on a real API server, in its process and over HTTP: what it asks for is understood. */
import { allowMasters, apiServer, memoryStore } from '@orbitkit/apiserver';
import { ConfigMap, compose, createClient, httpTransport, type Transport } from '@orbitkit/core';
import { metadataInformer, sharedInformer } from '@orbitkit/informer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const server = apiServer({
  store: memoryStore(),
  authorization: allowMasters(),
  listen: { host: '127.0.0.1', port: 0 },
  insecureHttp: true,
});
const serving = compose({}, server);
const administrator = { username: 'test-admin', groups: ['system:masters', 'system:authenticated'] };
beforeAll(async () => {
  serving.run().catch(() => {});
  await serving.ready;
  const client = server.clientFor(administrator);
  for (let i = 0; i < 50; i++) {
    await client.create(ConfigMap, { metadata: { namespace: 'default', name: `map-${i}` }, data: { i: `${i} ü` } });
  }
});
afterAll(() => serving[Symbol.asyncDispose]());

/** The transport, and the paths that were asked for. */
function watched(inner: Transport): { transport: Transport; paths: string[] } {
  const paths: string[] = [];
  return {
    paths,
    transport: {
      request(call) {
        paths.push(call.path);
        return inner.request(call);
      },
      connect: (path, options) => inner.connect(path, options),
      close: () => inner.close(),
    },
  };
}

describe.each([
  ['in its process', () => server.clientFor(administrator).transport],
  ['over HTTP', () => httpTransport({ server: server.endpoint!.url })],
] as const)('%s', (_way, transportOf) => {
  it.each([
    { lazy: false, metadataOnly: false },
    { lazy: true, metadataOnly: false },
    { lazy: false, metadataOnly: true },
    { lazy: true, metadataOnly: true },
  ])('it gets what there is as the beginning of its one watch: %o', async ({ lazy, metadataOnly }) => {
    const { transport, paths } = watched(transportOf());
    const client = createClient(transport);
    const options = { client, namespace: 'default', lazy };
    const informer = metadataOnly
      ? metadataInformer({ ...options, kind: ConfigMap })
      : sharedInformer({ ...options, kind: ConfigMap });
    const stop = new AbortController();
    const running = informer.run({ signal: stop.signal });
    try {
      await informer.waitForSync();
      expect(informer.store.size).toBe(50);
      const object = informer.store.get('default/map-7') as unknown as ConfigMap;
      expect([object.kind, object.apiVersion, object.metadata.name]).toEqual(['ConfigMap', 'v1', 'map-7']);
      expect(object.data).toEqual(metadataOnly ? undefined : { i: '7 ü' });
      const name = `late-${lazy}-${metadataOnly}`;
      const made = await client.create(ConfigMap, { metadata: { namespace: 'default', name }, data: { i: 'new' } });
      await expect.poll(() => informer.store.get(`default/${name}`)?.metadata.uid).toBe(made.metadata.uid);
      await client.delete(ConfigMap, { namespace: 'default', name });
      await expect.poll(() => informer.store.size).toBe(50);
      expect(paths.filter(path => path.includes('sendInitialEvents=true')).length).toBe(1);
      expect(paths.filter(path => path.includes('limit=')).length).toBe(0);
    } finally {
      stop.abort();
      await running;
    }
  });
});
