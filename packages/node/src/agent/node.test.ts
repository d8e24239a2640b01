import { Lease, Node, Pod } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

describe('the node agent', () => {
  it('registers its node and runs a pod that is bound to it', async () => {
    lab = await laboratory();
    await lab.start();
    const found = lab.api.find(Node, { name: 'n1' })!;
    expect(found.status.conditions).toContainEqual(expect.objectContaining({ type: 'Ready', status: 'True' }));
    await lab.pod({});
    await lab.until(() => lab.status().phase === 'Running');
    expect(lab.condition('Ready')?.status).toBe('True');
    expect(lab.status().podIP).toMatch(/^10\./);
    console.log(JSON.stringify(lab.current(), null, 1), lab.events(), lab.api.objects(Lease));
    await lab.api.client.delete(Pod, { name: 'web', namespace: 'default' });
    await lab.until(() => !lab.current());
    expect(await lab.runtime.listSandboxes()).toEqual([]);
  });
});
