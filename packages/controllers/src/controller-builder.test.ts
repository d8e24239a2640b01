import { ConfigMap, compose, controllerReference, type KubeObject, logger, Secret, StatusError } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller, generationChanged } from './controller-builder.js';
import { controllerManager } from './controller-manager.js';
import { TerminalError } from './terminal-error.js';
import { createTestControlPlane } from './testing/index.js';

const namespace = 'default';
const key = (name: string) => ({ name, namespace });

it('reconciles its own kind, what it owns and what it watches', async () => {
  const seen: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .owns(Secret)
    .watches(Secret, secret => secret.metadata.labels?.['for'])
    .predicate(change => !change.object.metadata.name.startsWith('kube-root'))
    .reconcile(({ object, name, read }) => {
      // The object is the reconciler's own to change, what it reads is not.
      object.data = { touched: 'yes' };
      expect(read(Secret).list(namespace)).toBeInstanceOf(Array);
      seen.push(`${name}@${object.metadata.resourceVersion}`);
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  const { client, eventually } = plane;
  const owner = await client.create(ConfigMap, { metadata: key('a') });
  await eventually(() => seen.length === 1);
  await client.create(Secret, {
    metadata: { ...key('owned'), ownerReferences: [controllerReference(owner as unknown as KubeObject)] },
  });
  await eventually(() => seen.length === 2);
  const labelled = await client.create(Secret, { metadata: { ...key('labelled'), labels: { for: 'a' } } });
  await eventually(() => seen.length === 3);
  // Asked of both states: the one that it leaves hears of it too.
  await client.create(ConfigMap, { metadata: key('b') });
  await eventually(() => seen.length === 4);
  await client.patch(Secret, labelled.metadata, { type: 'merge', patch: { metadata: { labels: { for: 'b' } } } });
  await eventually(() => seen.length === 6);
  expect(
    seen
      .slice(4)
      .map(each => each.split('@')[0])
      .sort(),
  ).toEqual(['a', 'b']);
  await client.create(Secret, { metadata: key('unrelated') });
  await client.create(ConfigMap, { metadata: key('kube-root-x') });
  const end = await client.create(ConfigMap, { metadata: key('end') });
  await eventually(() => seen.length === 7);
  expect(seen.at(-1)).toBe(`end@${end.metadata.resourceVersion}`);
  expect((await client.get(ConfigMap, key('a'))).data).toBeUndefined();
});

it('tries again after an error, not after a TerminalError, and when a result says so', async () => {
  const attempts = new Map<string, number>();
  const lines: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .reconcile(({ name }) => {
      const count = (attempts.get(name) ?? 0) + 1;
      attempts.set(name, count);
      if (name === 'flaky' && count < 4) throw new StatusError('ServiceUnavailable', 'not yet');
      if (name === 'hopeless') throw new TerminalError('spec makes no sense');
      if (name === 'wrong') return { requeueAfter: 'soon' };
      return name === 'periodic' && count < 3 ? { requeueAfter: '5ms' } : undefined;
    });
  const log = logger({ level: 'debug', write: line => lines.push(line) });
  await using plane = await createTestControlPlane({ controllers: [subject], log });
  for (const name of ['flaky', 'hopeless', 'periodic', 'wrong'])
    await plane.client.create(ConfigMap, { metadata: key(name) });
  await plane.eventually(
    () => attempts.get('flaky') === 4 && attempts.get('periodic') === 3 && attempts.get('wrong')! > 2,
  );
  expect(attempts.get('hopeless')).toBe(1);
  expect(lines.some(line => line.includes('reconciling failed for good') && line.includes('makes no sense'))).toBe(
    true,
  );
  expect(lines.some(line => line.includes('"soon" is not a duration') || line.includes('is not a duration'))).toBe(
    true,
  );
});

it('works on one object at a time, on several objects together', async () => {
  const active = new Map<string, number>();
  let together = 0;
  let overlapping = false;
  const seen = new Map<string, string | undefined>();
  const subject = controller(ConfigMap)
    .named('subject')
    .concurrency(4)
    .reconcile(async ({ key: object, object: { data }, clock }) => {
      active.set(object, (active.get(object) ?? 0) + 1);
      overlapping ||= active.get(object)! > 1;
      together = Math.max(
        together,
        [...active.values()].reduce((a, b) => a + b, 0),
      );
      await clock.sleep(5);
      active.set(object, active.get(object)! - 1);
      seen.set(object, data?.['round']);
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map(async name => {
        const metadata = key(name);
        if (round === 0) await plane.client.create(ConfigMap, { metadata });
        else
          await plane.client.patch(ConfigMap, metadata, { type: 'merge', patch: { data: { round: String(round) } } });
      }),
    );
  }
  // However many changes were one call: the last state of each was seen.
  await plane.eventually(() => [...seen.values()].filter(round => round === '4').length === 6);
  expect(overlapping).toBe(false);
  expect(together).toBeGreaterThan(1);
  expect(together).toBeLessThanOrEqual(4);
});

it('reconcileKey also hears of what is gone', async () => {
  const gone: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .reconcileKey(({ key: object, read }) => {
      if (!read(ConfigMap).has(object)) gone.push(object);
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  await plane.client.create(ConfigMap, { metadata: key('a') });
  await plane.client.delete(ConfigMap, key('a'));
  await plane.eventually(() => gone.includes('default/a'));
});

it('reading a kind that was not declared says what to add', async () => {
  let message = '';
  const subject = controller(ConfigMap)
    .named('subject')
    .reconcile(({ read }) => {
      try {
        read(Secret);
      } catch (error) {
        message = (error as Error).message;
      }
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  await plane.client.create(ConfigMap, { metadata: key('a') });
  await plane.eventually(() => message !== '');
  expect(message).toBe('controller "subject" does not cache secrets: add .reads(Secret) to it');
});

it('generationChanged lets spec changes through and status changes not', () => {
  const at = (generation?: number) =>
    ({ apiVersion: 'v1', kind: 'X', metadata: { name: 'x', generation } }) as unknown as KubeObject;
  expect(generationChanged({ type: 'update', previous: at(1), object: at(1) })).toBe(false);
  expect(generationChanged({ type: 'update', previous: at(1), object: at(2) })).toBe(true);
  expect(generationChanged({ type: 'update', previous: at(), object: at() })).toBe(true);
  expect(generationChanged({ type: 'add', object: at(1), initial: true })).toBe(true);
});

it('what was there already waits behind what changes now', async () => {
  const seen: string[] = [];
  let goOn = () => {};
  const held = new Promise<void>(resolve => {
    goOn = resolve;
  });
  await using plane = await createTestControlPlane();
  for (let i = 0; i < 5; i++) await plane.client.create(ConfigMap, { metadata: key(`old-${i}`) });
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => !object.metadata.name.startsWith('kube-root'))
    .reconcile(async ({ name }) => {
      seen.push(name);
      if (seen.length === 1) await held;
    });
  // Hears of everything after the one that is looked at.
  const heard: string[] = [];
  const observer = controller(ConfigMap)
    .named('observer')
    .reconcile(({ name }) => void heard.push(name));
  await using working = compose({ client: plane.client }, controllerManager([subject, observer]));
  working.run().catch(() => {});
  await plane.eventually(() => seen.length === 1);
  await plane.client.create(ConfigMap, { metadata: key('new') });
  await plane.eventually(() => heard.includes('new'));
  goOn();
  await plane.eventually(() => seen.length === 6);
  expect(seen[0]).toMatch(/^old/);
  expect(seen[1]).toBe('new');
});

it('failed objects wait as the rate limiter of the controller says', async () => {
  const forgotten: string[] = [];
  let asked = 0;
  let runs = 0;
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => object.metadata.name === 'a')
    .rateLimiter(() => ({
      when: () => {
        asked += 1;
        return 1;
      },
      forget: item => void forgotten.push(item),
      numRequeues: () => asked,
    }))
    .reconcile(() => {
      if (++runs < 30) throw new Error('not yet');
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  await plane.client.create(ConfigMap, { metadata: key('a') });
  await plane.eventually(() => forgotten.length > 0);
  expect([asked, forgotten]).toEqual([29, ['default/a']]);
});
