/** Clusters that come and go while a manager runs. */
import { type Client, ConfigMap, compose, Secret } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { ClusterSet } from './cluster-set.js';
import { controller } from './controller-builder.js';
import { controllerManager } from './controller-manager.js';
import { createTestControlPlane } from './testing/index.js';

const namespace = 'default';
const key = (name: string) => ({ name, namespace });

/** Counts the watches that are open through a client. */
function watched(client: Client): { client: Client; open: () => number } {
  let open = 0;
  const counting: Client = {
    ...client,
    async *watchBatches(kind, options) {
      open += 1;
      try {
        yield* client.watchBatches(kind, options);
      } finally {
        open -= 1;
      }
    },
  };
  return { client: counting, open: () => open };
}

it('clusters are added and removed while the manager runs', async () => {
  await using east = await createTestControlPlane();
  await using west = await createTestControlPlane();
  const [inEast, inWest] = [watched(east.client), watched(west.client)];
  const clusters = new ClusterSet();
  const seen: string[] = [];
  const each = {
    name: 'each',
    living: new Set<Client>(),
    async run({ client, signal, ready }: { client: Client; signal: AbortSignal; ready(): void }) {
      each.living.add(client);
      ready();
      await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
      each.living.delete(client);
    },
  };
  const withSecrets = controller(ConfigMap)
    .named('with-secrets')
    .reads(Secret)
    .predicate(({ object }) => object.metadata.name.startsWith('my-'))
    .reconcile(async ({ cluster, name, client, read }) => {
      seen.push(`${cluster} ${name}`);
      if (!read(Secret).has(key(name))) await client.create(Secret, { metadata: key(name) });
    });
  await using manager = compose(controllerManager([withSecrets, each], { clusters }));
  manager.run().catch(() => {});
  // With no cluster there is nothing to wait for.
  await manager.ready;
  expect(each.living.size).toBe(0);

  await east.client.create(ConfigMap, { metadata: key('my-a') });
  clusters.add('east', inEast.client);
  await east.eventually(() => east.client.get(Secret, key('my-a')));
  await east.eventually(() => each.living.size === 1);
  clusters.add('west', inWest.client);
  await west.client.create(ConfigMap, { metadata: key('my-b') });
  await west.eventually(() => west.client.get(Secret, key('my-b')));
  await west.eventually(() => each.living.size === 2);
  expect([inEast.open(), inWest.open()]).toEqual([2, 2]);

  expect(clusters.remove('east')).toBe(true);
  expect(clusters.remove('east')).toBe(false);
  await east.eventually(() => inEast.open() === 0 && each.living.size === 1);
  await east.client.create(ConfigMap, { metadata: key('my-late') });
  // The other goes on.
  await west.client.create(ConfigMap, { metadata: key('my-c') });
  await west.eventually(() => west.client.get(Secret, key('my-c')));
  expect(seen).not.toContain('east my-late');
  expect(clusters.names).toEqual(['west']);

  // And back: what happened meanwhile is found.
  clusters.add('east', inEast.client);
  await east.eventually(() => east.client.get(Secret, key('my-late')));
  await manager[Symbol.asyncDispose]();
  expect([inEast.open(), inWest.open(), each.living.size]).toEqual([0, 0, 0]);
});

it('what is in flight in a cluster that is removed is aborted, and not tried again', async () => {
  await using east = await createTestControlPlane();
  await using west = await createTestControlPlane();
  const clusters = new ClusterSet({ east: east.client, west: west.client });
  const began: string[] = [];
  const ended: string[] = [];
  const hanging = controller(ConfigMap)
    .named('hanging')
    .predicate(({ object }) => object.metadata.name.startsWith('my-'))
    .reconcile(async ({ cluster, signal }) => {
      began.push(cluster);
      await new Promise<void>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
      ).catch(() => ended.push(cluster));
      signal.throwIfAborted();
    });
  await using manager = compose(controllerManager([hanging], { clusters }));
  manager.run().catch(() => {});
  await manager.ready;
  await east.client.create(ConfigMap, { metadata: key('my-a') });
  await east.eventually(() => began.includes('east'));
  clusters.remove('east');
  await east.eventually(() => ended.includes('east'));
  // The one worker is free again.
  await west.client.create(ConfigMap, { metadata: key('my-a') });
  await west.eventually(() => began.includes('west'));
  expect(began).toEqual(['east', 'west']);
});

it('refuses a name that is none, and one that is taken', async () => {
  await using plane = await createTestControlPlane();
  const clusters = new ClusterSet({ east: plane.client });
  expect(() => clusters.add('a|b', plane.client)).toThrow('cluster "a|b": a name of letters');
  expect(() => clusters.add('east', plane.client)).toThrow('there is a cluster "east" already; remove it first');
});
