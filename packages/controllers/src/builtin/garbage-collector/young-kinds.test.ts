import { ConfigMap, CustomResourceDefinition, isNotFound } from '@orbitkit/core';
import { crdOf, defineKind } from '@orbitkit/core/zod';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { createTestControlPlane, type TestControlPlane } from '../../testing/index.js';
import { garbageCollector } from './garbage-collector.js';

const Widget = defineKind({
  ...{ group: 'example.com', version: 'v1', kind: 'Widget' },
  spec: z.object({ size: z.int32() }),
});
const namespace = 'default';

const gone = (plane: TestControlPlane, name: string) =>
  plane.eventually(async () => {
    try {
      await plane.client.get(ConfigMap, { name, namespace });
      return false;
    } catch (error) {
      return isNotFound(error);
    }
  });

it('an owner whose kind is younger than the last discovery is looked up at once', async () => {
  await using plane = await createTestControlPlane({
    controllers: [garbageCollector({ discoveryPeriodMs: 3_600_000 })],
  });
  const { client } = plane;
  await client.create(CustomResourceDefinition, crdOf(Widget));
  const spec = { size: 1 };
  const widget = await plane.eventually(() => client.create(Widget, { metadata: { name: 'there', namespace }, spec }));
  const owner = { apiVersion: 'example.com/v1', kind: 'Widget', name: 'there', uid: widget.metadata.uid };
  const owned = (name: string, ownerReferences: (typeof owner)[]) =>
    client.create(ConfigMap, { metadata: { name, namespace, ownerReferences } });
  await owned('kept', [owner]);
  await owned('garbage', [{ ...owner, name: 'gone', uid: 'gone' }]);
  await gone(plane, 'garbage');
  expect(await client.get(ConfigMap, { name: 'kept', namespace })).toBeDefined();
  // From then on the kind is watched: nothing happens to what is owned, and still it goes with its owner.
  await client.delete(Widget, { name: 'there', namespace });
  await gone(plane, 'kept');
});
