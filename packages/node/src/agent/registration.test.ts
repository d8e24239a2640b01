import { Lease, Node } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { simulatedRuntime } from '../runtime/simulated/index.js';
import { node } from './node.js';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
afterEach(() => lab?.close());

const found = () => lab.api.find(Node, { name: 'n1' })!;
const condition = (type: string) => found().status.conditions?.find(its => its.type === type);
const leaseKey = { namespace: 'kube-node-lease', name: 'n1' };

describe('registration', () => {
  it('creates the Node with labels, taints, addresses, capacity and what the runtime can do', async () => {
    lab = await laboratory({ capabilities: ['private-localhost', 'attach'] });
    await lab.start({
      address: '127.0.0.7',
      hostname: 'machine',
      labels: { disk: 'ssd' },
      annotations: { note: 'mine' },
      taints: [{ key: 'dedicated', value: 'x', effect: 'NoSchedule' }],
      capacity: { cpu: '4', memory: '8Gi' },
      maxPods: 20,
      podCIDR: '10.7.0.0/24',
    });
    expect(found()).toMatchObject({
      metadata: {
        labels: { 'kubernetes.io/hostname': 'n1', 'kubernetes.io/os': 'linux', disk: 'ssd' },
        annotations: { note: 'mine', 'orbitkit.dev/runtime-capabilities': 'attach,private-localhost' },
      },
      spec: { podCIDR: '10.7.0.0/24', taints: [{ key: 'dedicated', value: 'x', effect: 'NoSchedule' }] },
      status: {
        capacity: { cpu: '4', memory: '8Gi', pods: '20' },
        allocatable: { cpu: '4', memory: '8Gi', pods: '20' },
        addresses: [
          { type: 'InternalIP', address: '127.0.0.7' },
          { type: 'Hostname', address: 'machine' },
        ],
        nodeInfo: { containerRuntimeVersion: 'simulated://1', operatingSystem: 'linux' },
      },
    });
    expect(condition('Ready')).toMatchObject({ status: 'True', reason: 'KubeletReady' });
    expect(condition('orbitkit.dev/RuntimeLimited')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('cpu-limits, memory-limits'),
    });
    await lab.pod({});
    await lab.until(() => lab.status().podIP?.startsWith('10.7.0.'));
  });

  it('adopts a Node of its name and leaves what others own', async () => {
    lab = await laboratory();
    await lab.api.client.create(Node, {
      metadata: { name: 'n1', labels: { zone: 'a', 'kubernetes.io/hostname': 'old' } },
      spec: { unschedulable: true, podCIDR: '10.9.0.0/24', taints: [{ key: 'k', effect: 'NoExecute' }] },
    });
    const { uid } = found().metadata;
    await lab.start({ podCIDR: undefined, taints: [{ key: 'mine', effect: 'NoSchedule' }] });
    expect(found().metadata).toMatchObject({ uid, labels: { zone: 'a', 'kubernetes.io/hostname': 'n1' } });
    expect(found().spec).toEqual({
      unschedulable: true,
      podCIDR: '10.9.0.0/24',
      taints: [{ key: 'k', effect: 'NoExecute' }],
    });
    await lab.pod({});
    await lab.until(() => lab.status().podIP?.startsWith('10.9.0.'));
  });

  it('waits shortly for a range that a controller assigns, before the first pod', async () => {
    lab = await laboratory();
    await lab.start({ podCIDR: undefined });
    await lab.pod({});
    await lab.api.client.update(Node, { ...found(), spec: { podCIDR: '10.8.0.0/24' } });
    await lab.until(() => lab.status().podIP?.startsWith('10.8.0.'));
  });

  it('tries until the API server is there', async () => {
    lab = await laboratory();
    lab.api.fail('get', 'nodes', new Error('connection refused'), 5);
    await lab.start();
    expect(condition('Ready')?.status).toBe('True');
  });

  it('renews its lease every ten seconds, and comes back after the server was away', async () => {
    lab = await laboratory();
    await lab.start();
    const renewed = () => Date.parse(lab.api.find(Lease, leaseKey)!.spec.renewTime!);
    const lease = lab.api.find(Lease, leaseKey)!;
    expect(lease.spec).toMatchObject({ holderIdentity: 'n1', leaseDurationSeconds: 40 });
    expect(lease.spec.renewTime).toMatch(/\.\d{6}Z$/);
    expect(lease.metadata.ownerReferences).toMatchObject([{ kind: 'Node', name: 'n1', uid: found().metadata.uid }]);
    for (let i = 0; i < 3; i++) {
      const before = renewed();
      await lab.advance(10_000);
      expect(renewed() - before).toBeGreaterThanOrEqual(9_900);
      expect(renewed() - before).toBeLessThanOrEqual(10_100);
    }
    lab.api.fail('update', 'leases', new Error('connection refused'), 2);
    await lab.advance(15_000);
    expect(lab.clock.now() - renewed()).toBeLessThan(11_000);
  });

  it('registers again when its Node or lease is deleted', async () => {
    lab = await laboratory();
    await lab.start();
    const { uid } = found().metadata;
    lab.api.forget(Node, { name: 'n1' });
    lab.api.forget(Lease, leaseKey);
    await lab.until(
      () => lab.api.find(Node, { name: 'n1' }) && lab.api.find(Lease, leaseKey),
      'registered again',
      21_000,
    );
    expect(found().metadata.uid).not.toBe(uid);
    await lab.until(() => condition('Ready')?.status === 'True');
  });

  it('writes its status when it changes, and every five minutes when not', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.advance(1_000);
    const version = () => found().metadata.resourceVersion;
    const first = version();
    await lab.advance(200_000);
    expect(version()).toBe(first);
    await lab.advance(120_000);
    expect(version()).not.toBe(first);
  });

  it('takes back what the node lifecycle controller wrote while it was away', async () => {
    lab = await laboratory();
    await lab.start();
    const lost = found();
    const conditions = lost.status.conditions!.map(its =>
      its.type === 'Ready' ? { ...its, status: 'Unknown' as const } : its,
    );
    await lab.api.client.updateStatus(Node, { ...lost, status: { ...lost.status, conditions } });
    await lab.until(() => condition('Ready')?.status === 'True', 'ready again', 11_000);
  });

  it('is not ready while the runtime does not answer', async () => {
    lab = await laboratory();
    await lab.start();
    lab.runtime.setUnavailable('the daemon is gone');
    await lab.until(() => condition('Ready')?.status === 'False', 'not ready', 21_000);
    expect(condition('Ready')).toMatchObject({ reason: 'KubeletNotReady', message: 'the daemon is gone' });
    lab.runtime.setUnavailable(undefined);
    await lab.until(() => condition('Ready')?.status === 'True', 'ready again', 21_000);
  });

  it('lists the images that are there', async () => {
    lab = await laboratory({ images: ['app:1'] });
    await lab.start();
    expect(found().status.images).toEqual([{ names: ['app:1'], sizeBytes: 0 }]);
  });
});

describe('options', () => {
  it.each([
    [{ name: 'Not A Name' }, 'is not a DNS subdomain'],
    [{ name: 'n1', maxPods: 0 }, 'maxPods must be above zero'],
    [{ name: 'n1', relistMs: Number.NaN }, 'relistMs must be above zero'],
    [{ name: 'n1', heartbeat: { leaseDurationSeconds: -1 } }, 'heartbeat.leaseDurationSeconds must be above zero'],
  ])('%j is refused', (options, message) => {
    expect(() => node({ runtime: simulatedRuntime(), ...options })).toThrow(message);
  });

  it('have no side effect', () => {
    expect(node({ name: 'n1', runtime: simulatedRuntime(), dataDir: '/nonexistent/orbitkit' }).name).toBe('node/n1');
  });
});
