/** What stands in the store but cannot be read: upstream's `TransformationFailure` and `WatchError`, in this contract's terms. */
import { ConfigMap, Secret } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { encryptedStore, encryptionRules } from '../storage/encryption/index.js';
import { memoryStore } from '../storage/memory.js';
import { fixture } from './resources-fixture.js';

const rules = (fill: number) =>
  encryptionRules(
    {
      apiVersion: 'apiserver.config.k8s.io/v1',
      kind: 'EncryptionConfiguration',
      resources: [
        {
          resources: ['secrets'],
          providers: [{ aesgcm: { keys: [{ name: 'k', secret: Buffer.alloc(32, fill).toString('base64') }] } }],
        },
      ],
    },
    'FILE',
  );
const secret = (name: string, namespace = 'default') => ({ metadata: { name, namespace }, stringData: { a: '1' } });
const message = /the stored object \/registry\/core\/secrets\/default\/broken cannot be read: .*cannot be decrypted/;

describe('an object that cannot be decrypted', () => {
  it('fails by name where it is read or listed; everything else is served', async () => {
    const inner = await memoryStore()();
    {
      await using before = await fixture({ store: await encryptedStore(async () => inner, rules(1))() });
      for (const name of ['fine', 'broken']) await before.create(Secret, secret(name));
      await before.create(Secret, secret('other', 'kube-system'));
      await before.create(ConfigMap, { metadata: { name: 'map', namespace: 'default' } });
    }
    const key = '/registry/core/secrets/default/broken';
    const value = Buffer.from((await inner.get(key)).entry!.value);
    value[value.length - 1]! ^= 1;
    await inner.txn([], { type: 'put', key, value });

    await using cluster = await fixture({ store: await encryptedStore(async () => inner, rules(1))() });
    expect(await cluster.get(Secret, { namespace: 'default', name: 'fine' })).toMatchObject({
      metadata: { name: 'fine' },
    });
    await expect(cluster.get(Secret, { namespace: 'default', name: 'broken' })).rejects.toThrow(message);
    await expect(cluster.list(Secret)).rejects.toThrow(message);
    await expect(cluster.list(Secret, { namespace: 'default', limit: 1 })).rejects.toThrow(message);
    await expect(cluster.watch(Secret)).rejects.toThrow(message);
    expect(await cluster.list(Secret, { namespace: 'kube-system' })).toHaveLength(1);
    expect(await cluster.list(ConfigMap, { namespace: 'default' })).toHaveLength(1);
    await expect(cluster.delete(Secret, { namespace: 'default', name: 'broken' })).rejects.toThrow(message);

    // Whoever has the key again, or removes it from the store, has the list again.
    await inner.txn([], { type: 'delete', key });
    await expect.poll(() => cluster.list(Secret, { namespace: 'default' }).then(list => list.length)).toBe(1);
  });

  it('ends the watches of its resource with an error that says so, and no other watch', async () => {
    const inner = await memoryStore()();
    await using cluster = await fixture({ store: await encryptedStore(async () => inner, rules(1))() });
    await cluster.create(Secret, secret('broken'));
    const secrets = await cluster.watch(Secret, { namespace: 'default' });
    const maps = await cluster.watch(ConfigMap, { namespace: 'default' });
    expect((await secrets.next())?.type).toBe('ADDED');
    const wrong = await encryptedStore(async () => inner, rules(2))();
    await wrong.txn([], {
      type: 'put',
      key: '/registry/core/secrets/default/broken',
      value: (await cluster.store.get('/registry/core/secrets/default/broken')).entry!.value,
    });
    const event = await secrets.next();
    expect(event?.type).toBe('ERROR');
    expect(event?.object.bytes.toString()).toMatch(/secrets\/default\/broken cannot be read/);
    expect(await secrets.next()).toBeUndefined();
    await cluster.create(ConfigMap, { metadata: { name: 'map', namespace: 'default' } });
    expect(await maps.lines(1)).toEqual(['ADDED map']);
    await maps.close();
  });
});
