import { ConfigMap, ControllerRevision } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from '../../testing/index.js';
import { newestRevision, revisionLabel, trimHistory } from './revision-history.js';

const namespace = 'default';
const template = (image: string) =>
  ({ metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'main', image }] } }) as never;

async function start() {
  const plane = await createTestControlPlane();
  const { client } = plane;
  // Any object may own a history.
  const owner = await client.create(ConfigMap, { metadata: { name: 'web', namespace } });
  const known = async () => (await client.list(ControllerRevision, { namespace })).items;
  const newest = async (image: string, collisionCount = 0) =>
    newestRevision({ client, owner: owner as never, template: template(image), known: await known(), collisionCount });
  const numbers = async () =>
    Object.fromEntries(
      (await known()).map(({ data, revision }) => [(data as any).spec.template.spec.containers[0].image, revision]),
    );
  return { plane, client, owner, known, newest, numbers };
}

describe('the newest revision', () => {
  it('is one a template, numbered upwards, labelled and owned', async () => {
    const { plane, owner, known, newest, numbers } = await start();
    await using _ = plane;
    const { revision } = await newest('a');
    await newest('b');
    expect(await numbers()).toEqual({ a: 1, b: 2 });
    expect((await newest('b')).revision.metadata.name).toBe((await known())[1]!.metadata.name);
    expect(await known()).toHaveLength(2);
    const hash = revision.metadata.labels?.[revisionLabel];
    expect(revision.metadata.name).toBe(`web-${hash}`);
    expect(revision.metadata.labels).toMatchObject({ app: 'web' });
    expect(revision.metadata.ownerReferences?.[0]).toMatchObject({ uid: owner.metadata.uid, controller: true });
  });

  it('going back raises the old one', async () => {
    const { plane, newest, numbers } = await start();
    await using _ = plane;
    for (const image of ['a', 'b', 'a']) await newest(image);
    expect(await numbers()).toEqual({ a: 3, b: 2 });
  });

  it('another content under the name gets another name, and the collision is counted', async () => {
    const { plane, client, newest } = await start();
    await using _ = plane;
    const { revision } = await newest('a');
    const { name } = revision.metadata;
    await client.delete(ControllerRevision, { name, namespace });
    await client.create(ControllerRevision, { metadata: { name, namespace }, revision: 7, data: { other: true } });
    const again = await newestRevision({
      client,
      owner: (await client.get(ConfigMap, { name: 'web', namespace })) as never,
      template: template('a'),
      known: [],
      collisionCount: 0,
    });
    expect(again.collisionCount).toBe(1);
    expect(again.revision.metadata.name).not.toBe(name);
  });

  it('one that was made and not seen yet is taken', async () => {
    const { plane, client, owner, newest, known } = await start();
    await using _ = plane;
    const { revision } = await newest('a');
    const blind = { client, owner: owner as never, template: template('a'), known: [], collisionCount: 0 };
    expect((await newestRevision(blind)).revision.metadata.uid).toBe(revision.metadata.uid);
    expect(await known()).toHaveLength(1);
  });
});

it.each([
  [2, [], ['c', 'd', 'e']],
  [0, [], ['e']],
  [1, ['a'], ['a', 'd', 'e']],
  [10, [], ['a', 'b', 'c', 'd', 'e']],
])('of five, limit %i with %j in use beside the newest: %j stay', async (limit, used, left) => {
  const { plane, client, known, newest, numbers } = await start();
  await using _ = plane;
  const names: Record<string, string> = {};
  for (const image of ['a', 'b', 'c', 'd', 'e']) names[image] = (await newest(image)).revision.metadata.name;
  await trimHistory(client, await known(), new Set(['e', ...used].map(image => names[image]!)), limit);
  expect(Object.keys(await numbers()).sort()).toEqual(left);
});
