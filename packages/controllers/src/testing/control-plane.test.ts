import { ConfigMap, Namespace, Secret } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { createTestControlPlane } from './control-plane.js';

/** Handles of this process that would keep it alive. */
const handles = () =>
  process.getActiveResourcesInfo().filter(each => /Server|Socket|TCP|Timeout|FSReq/.test(each)).length;

describe('createTestControlPlane', () => {
  it('is ready after under 50 ms of processor time (the least of 9), and leaves nothing behind', async () => {
    const before = handles();
    const times: number[] = [];
    for (let round = 0; round < 9; round++) {
      // Not by the wall clock: others may have the processors.
      const began = process.cpuUsage();
      const plane = await createTestControlPlane();
      const { user, system } = process.cpuUsage(began);
      times.push((user + system) / 1000);
      await plane.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
      await plane[Symbol.asyncDispose]();
    }
    expect(Math.min(...times)).toBeLessThan(50);
    await expect.poll(handles).toBeLessThanOrEqual(before);
  });

  it('collects what lost its owner, and empties namespaces', async () => {
    await using plane = await createTestControlPlane();
    const { client, eventually } = plane;
    const owner = await client.create(ConfigMap, { metadata: { name: 'owner', namespace: 'default' } });
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata.uid }];
    await client.create(Secret, { metadata: { name: 'owned', namespace: 'default', ownerReferences } });
    await client.delete(ConfigMap, owner.metadata);
    await eventually(async () => (await client.list(Secret, { namespace: 'default' })).items.length === 0);

    await client.create(Namespace, { metadata: { name: 'short' } });
    await client.create(ConfigMap, { metadata: { name: 'inside', namespace: 'short' } });
    await client.delete(Namespace, { name: 'short' });
    await eventually(async () => !(await client.list(Namespace)).items.some(each => each.metadata.name === 'short'));
  });

  it('keeps house only when it is wanted', async () => {
    await using plane = await createTestControlPlane({ housekeeping: false });
    await plane.client.create(Namespace, { metadata: { name: 'stays' } });
    await plane.client.delete(Namespace, { name: 'stays' });
    const namespace = await plane.client.get(Namespace, { name: 'stays' });
    expect(namespace.status.phase).toBe('Terminating');
    expect(plane.components.flatMap(({ name }) => name)).toContain('housekeeping');
  });

  it('listens only when it is asked to', async () => {
    await using silent = await createTestControlPlane();
    expect(silent.url).toBeUndefined();
    await using plane = await createTestControlPlane({ port: 0 });
    const answer = await fetch(`${plane.url}/api/v1/namespaces/default`);
    expect(await answer.json()).toMatchObject({ kind: 'Namespace', metadata: { name: 'default' } });
  });
});
