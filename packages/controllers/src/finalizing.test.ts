import { ConfigMap, isNotFound, Secret, StatusError } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { controller } from './controller-builder.js';
import { createTestControlPlane } from './testing/index.js';
import { Gate, lagging } from './testing/lagging.js';

const key = { name: 'a', namespace: 'default' };
const gone = (error: unknown) => {
  if (isNotFound(error)) return undefined;
  throw error;
};

it('cleans up before an object is gone, again after an error, and lets others finalizers be', async () => {
  const steps: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => object.metadata.name === 'a')
    .finalizer('example.com/first', ({ name }) => {
      steps.push(`first ${name}`);
      if (steps.filter(step => step.startsWith('first')).length === 1)
        throw new StatusError('ServiceUnavailable', 'not yet');
      return steps.filter(step => step.startsWith('first')).length === 2 ? { requeueAfter: 5 } : undefined;
    })
    .finalizer('example.com/second', async ({ object }) => {
      await Promise.resolve();
      steps.push(`second ${object.metadata.finalizers}`);
    })
    .reconcile(({ object }) => {
      steps.push(`reconcile ${object.metadata.finalizers}`);
    });
  await using plane = await createTestControlPlane({ controllers: [subject] });
  const { client, eventually } = plane;
  await client.create(ConfigMap, { metadata: { ...key, finalizers: ['example.com/other'] } });
  await eventually(() => steps.length > 0);
  expect(steps[0]).toBe('reconcile example.com/other,example.com/first,example.com/second');
  await plane.consistently(() => steps.every(step => step.startsWith('reconcile')), { forMs: 50 });
  steps.length = 0;
  await client.delete(ConfigMap, key);
  const left = await eventually(async () => {
    const { metadata } = await client.get(ConfigMap, key);
    return metadata.finalizers?.length === 1 ? metadata.finalizers : undefined;
  });
  expect(left).toEqual(['example.com/other']);
  expect(steps).toEqual(['first a', 'first a', 'first a', 'second example.com/other,example.com/second']);
  await client.patch(ConfigMap, key, { type: 'merge', patch: { metadata: { finalizers: null } } });
  await eventually(async () => (await client.get(ConfigMap, key).catch(gone)) === undefined);
  expect(steps).toHaveLength(4);
});

it('what was let go is gone for its controller, however late its cache is', async () => {
  const gate = new Gate();
  const steps: string[] = [];
  const subject = controller(ConfigMap)
    .named('subject')
    .predicate(({ object }) => object.metadata.name === 'a')
    .watches(Secret, (_secret, read) => {
      steps.push(read(ConfigMap).has(key) ? 'there' : 'gone');
      return key;
    })
    .finalizer('example.com/mine', () => {
      gate.close();
      steps.push('clean up');
    })
    .reconcile(() => {});
  await using plane = await createTestControlPlane({ controllers: [lagging(subject, ConfigMap, gate)] });
  const { client, eventually } = plane;
  await client.create(ConfigMap, { metadata: key });
  await eventually(async () => (await client.get(ConfigMap, key)).metadata.finalizers?.length === 1);
  await client.delete(ConfigMap, key);
  await eventually(async () => (await client.get(ConfigMap, key).catch(gone)) === undefined);
  await client.create(Secret, { metadata: key });
  await eventually(() => steps.at(-1) === 'gone');
  await plane.consistently(() => steps.filter(step => step === 'clean up').length === 1, { forMs: 50 });
  gate.open();
});

it('is refused where it could not work', () => {
  expect(() => controller(ConfigMap).finalizer('mine', () => {})).toThrow('a name with a domain');
  const builder = controller(ConfigMap).finalizer('example.com/mine', () => {});
  expect(() => builder.reconcileKey(() => {})).toThrow('finalizers need .reconcile()');
});
