import { ConfigMap, controllerReference, type KubeObject, manualClock, Secret } from '@orbitkit/core';
import { Indexer } from '@orbitkit/informer';
import { describe, expect, it } from 'vitest';
import { controller } from './controller-builder.js';
import { createTestControlPlane } from './testing/index.js';
import { Gate, lagging } from './testing/lagging.js';
import { rememberedWriteMs, WrittenStore } from './written-store.js';

const at = (name: string, resourceVersion: string, rest: { uid?: string; label?: string } = {}) => ({
  apiVersion: 'v1',
  kind: 'X',
  metadata: {
    name,
    namespace: 'default',
    uid: rest.uid ?? name,
    resourceVersion,
    creationTimestamp: '',
    ...(rest.label ? { labels: { at: rest.label } } : {}),
  },
});
const byLabel = (object: { metadata: { readonly labels?: { readonly [name: string]: string } } }) => [
  object.metadata.labels?.['at'] ?? 'none',
];

function lag() {
  const clock = manualClock();
  const store = new Indexer<KubeObject>({ byLabel });
  const informer = {
    store,
    kind: { group: '', version: 'v1', kind: 'X', plural: 'xs', namespaced: true },
    resourceVersion: undefined as string | undefined,
  };
  return { clock, store, informer, seen: new WrittenStore<KubeObject>(informer as never, { byLabel }, clock) };
}
const versionOf = (object: { metadata: { resourceVersion?: string } } | undefined) => object?.metadata.resourceVersion;

describe('a cache with the own writes in it', () => {
  it('never returns an older version of what was written', () => {
    const { store, seen } = lag();
    store.set(at('a', '5', { label: 'old' }));
    seen.wrote(at('a', '10', { label: 'new' }));
    expect(versionOf(seen.get('default/a'))).toBe('10');
    store.set(at('a', '7', { label: 'old' }));
    expect(versionOf(seen.get({ namespace: 'default', name: 'a' }))).toBe('10');
    // An answer that comes late does not set it back.
    seen.wrote(at('a', '9'));
    expect(versionOf(seen.get('default/a'))).toBe('10');
    expect(seen.byIndex('byLabel', 'old')).toEqual([]);
    expect(seen.byIndex('byLabel', 'new').map(versionOf)).toEqual(['10']);
    expect(seen.indexValues('byLabel')).toEqual(['new']);
    // Somebody else wrote after us.
    store.set(at('a', '12', { label: 'theirs' }));
    expect(versionOf(seen.get('default/a'))).toBe('12');
    expect(seen.byIndex('byLabel', 'new')).toEqual([]);
  });

  it('shows what was created, in lists and namespaces too, until the cache has come past it', () => {
    const { store, informer, seen } = lag();
    seen.wrote(at('a', '10'));
    expect([
      seen.size,
      seen.keys(),
      seen.list('default').length,
      seen.list('other').length,
      seen.has('default/a'),
    ]).toEqual([1, ['default/a'], 1, 0, true]);
    expect(store.size).toBe(0);
    // It was deleted by somebody before the cache ever saw it.
    informer.resourceVersion = '11';
    expect([seen.size, seen.has('default/a')]).toEqual([0, false]);
  });

  it('does not show what was deleted, and shows what was made after it', () => {
    const { store, informer, seen } = lag();
    store.set(at('a', '10'));
    seen.deleted('default/a');
    expect([seen.has('default/a'), seen.list().length]).toEqual([false, 0]);
    informer.resourceVersion = '10';
    expect(seen.has('default/a')).toBe(false);
    store.set(at('a', '20', { uid: 'another' }));
    expect(seen.get('default/a')?.metadata.uid).toBe('another');
  });

  it('does not show what was created and deleted before the cache saw either', () => {
    const { store, informer, seen } = lag();
    seen.wrote(at('a', '10'));
    seen.deleted('default/a');
    expect(seen.has('default/a')).toBe(false);
    store.set(at('a', '10'));
    informer.resourceVersion = '10';
    expect(seen.has('default/a')).toBe(false);
    store.delete('default/a');
    expect(seen.has('default/a')).toBe(false);
  });

  it('forgets a write that never shows up, keeps a copy of its own, and names an index it does not know', async () => {
    const { clock, seen } = lag();
    const written = at('a', '10');
    seen.wrote(written);
    written.metadata.name = 'changed';
    expect(seen.get('default/a')?.metadata.name).toBe('a');
    expect(() => seen.byIndex('mine', 'x')).toThrow('declare it with .reads(X, { mine: … })');
    await clock.advance(rememberedWriteMs + 1);
    expect(seen.has('default/a')).toBe(false);
  });
});

it('a reconciler whose caches stand still reads what it wrote, and does nothing twice', async () => {
  const gate = new Gate();
  const steps: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .owns(Secret)
    .reconcile(async ({ object, read, client, name }) => {
      if (!name.startsWith('my-')) return undefined;
      const key = { name, namespace: 'default' };
      const secret = read(Secret).get(key);
      if (!secret) {
        gate.close();
        steps.push('create');
        await client.create(Secret, { metadata: { ...key, ownerReferences: [controllerReference(object)] } });
        return { requeueAfter: 1 };
      }
      if (!secret.metadata.labels) {
        steps.push('label');
        await client.patch(Secret, key, { type: 'merge', patch: { metadata: { labels: { step: '2' } } } });
        return { requeueAfter: 1 };
      }
      if (secret.metadata.labels['step'] === '2') {
        steps.push('delete');
        await client.delete(Secret, key);
        steps.push(String(read(Secret).has(key)));
        steps.push('again');
        await client.create(Secret, { metadata: { ...key, labels: { step: '3' } } });
        return { requeueAfter: 1 };
      }
      steps.push('done');
      return undefined;
    });
  await using plane = await createTestControlPlane({ controllers: [lagging(subject, Secret, gate)] });
  await plane.client.create(ConfigMap, { metadata: { name: 'my-a', namespace: 'default' } });
  await plane.eventually(() => steps.includes('done'));
  expect(steps).toEqual(['create', 'label', 'delete', 'false', 'again', 'done']);
  gate.open();
});
