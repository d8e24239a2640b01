// Runs on other Nodes than the one that built: every front door can be imported, and a control plane serves an object.
import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { ConfigMap } from '@orbitkit/core';

for (const name of [
  'core',
  'core/manifest',
  'core/define-kind',
  'informer',
  'informer/rx',
  'apiserver',
  'apiserver/storage',
  'scheduler',
  'controllers',
  'node',
  'galaxy',
  'cli',
]) {
  await import(`@orbitkit/${name}`);
}
// `await using` is not in Node 22 yet.
const plane = await createTestControlPlane();
try {
  await plane.client.create(ConfigMap, {
    metadata: { name: 'smoke', namespace: 'default' },
    data: { node: process.version },
  });
  const read = await plane.client.get(ConfigMap, { name: 'smoke', namespace: 'default' });
  if (read.data?.node !== process.version) throw new Error(`read back ${JSON.stringify(read.data)}`);
} finally {
  await plane[Symbol.asyncDispose]();
}
console.log(`Node ${process.version}: front doors import, a control plane serves`);
