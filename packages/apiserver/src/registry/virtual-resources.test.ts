import {
  Binding,
  CoreV1ComponentStatus,
  type Kind,
  NodeMetrics,
  Pod,
  SelfSubjectAccessReview,
  SubjectAccessReview,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { fixture, pod } from './resources-fixture.js';

const refusal = (write: Promise<unknown>) =>
  write.then(
    () => undefined,
    error => error,
  );
const access = { spec: { resourceAttributes: { verb: 'get', resource: 'pods' } } };

it('a kind that nobody answers for is refused, and nothing is stored', async () => {
  await using cluster = await fixture();
  const before = (await cluster.store.list('/')).revision;
  expect(await refusal(cluster.create(SelfSubjectAccessReview, access))).toMatchObject({
    code: 405,
    message: expect.stringContaining('nothing in this server does so'),
  });
  expect(await refusal(cluster.list(NodeMetrics))).toMatchObject({ code: 405 });
  expect(await refusal(cluster.watch(SelfSubjectAccessReview))).toMatchObject({ code: 405 });
  expect(await refusal(cluster.delete(SelfSubjectAccessReview, { name: 'x' }))).toMatchObject({ code: 405 });
  expect((await cluster.store.list('/')).revision).toBe(before);
});

it('an answer is computed from a body that has been decoded and judged', async () => {
  await using cluster = await fixture({
    virtual: {
      'authorization.k8s.io/v1/SubjectAccessReview': {
        create: (context, review) => ({ ...review, status: { allowed: true, reason: context.user.username } }),
      },
    },
  });
  const review = { spec: { ...access.spec, user: 'u' } };
  expect(await cluster.create(SubjectAccessReview, review)).toMatchObject({
    kind: 'SubjectAccessReview',
    apiVersion: 'authorization.k8s.io/v1',
    spec: review.spec,
    status: { allowed: true, reason: 'tester' },
  });
  expect(await refusal(cluster.create(SubjectAccessReview, { spec: {} }))).toMatchObject({ code: 422 });
  const odd = { ...review, spec: { ...review.spec, odd: 1 } };
  expect(await refusal(cluster.create(SubjectAccessReview, odd, { fieldValidation: 'Strict' }))).toMatchObject({
    code: 400,
  });
});

it('componentstatuses tell of the store, which is all that this server knows', async () => {
  await using cluster = await fixture();
  const healthy = {
    metadata: { name: 'store' },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  };
  expect(await cluster.list(CoreV1ComponentStatus)).toMatchObject([healthy]);
  expect(await cluster.get(CoreV1ComponentStatus, { name: 'store' })).toMatchObject(healthy);
  expect(await refusal(cluster.get(CoreV1ComponentStatus, { name: 'scheduler' }))).toMatchObject({ code: 404 });
  await cluster.store.close();
  expect(await cluster.list(CoreV1ComponentStatus)).toMatchObject([
    { conditions: [{ status: 'False', error: expect.any(String) }] },
  ]);
});

it('a binding may be posted to its own collection', async () => {
  await using cluster = await fixture();
  await cluster.create(Pod, pod('p'));
  const binding = { metadata: { name: 'p', namespace: 'default' }, target: { kind: 'Node', name: 'n1' } };
  const { object } = await cluster.resources.create(
    cluster.context,
    Binding as Kind<any>,
    { namespace: 'default' },
    { value: structuredClone(binding) },
  );
  expect(JSON.parse(object.bytes.toString())).toMatchObject({ kind: 'Status', status: 'Success' });
  expect((await cluster.get(Pod, { name: 'p', namespace: 'default' }))['spec'].nodeName).toBe('n1');
  const again = { ...binding, metadata: { ...binding.metadata, name: 'missing' } };
  expect(await refusal(cluster.create(Binding, again))).toMatchObject({ code: 404 });
});
