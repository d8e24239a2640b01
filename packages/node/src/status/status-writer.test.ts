import { manualClock, Pod, silentLogger } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { fakeApi } from '../agent/testing/fake-api.js';
import { statusWriter } from './status-writer.js';

const key = { namespace: 'd', name: 'p' };

async function setup() {
  const clock = manualClock();
  const api = fakeApi({ now: () => clock.now() });
  const pod = await api.client.create(Pod, { metadata: key, spec: { containers: [] } });
  const writer = statusWriter({ client: api.client, clock, log: silentLogger, pod });
  const found = () => api.find(Pod, key)!.status;
  const writes = () => api.calls.get('update pods') ?? 0;
  return { clock, api, writer, found, writes };
}

describe('statusWriter', () => {
  it('writes what differs, and only that', async () => {
    const { writer, found, writes } = await setup();
    for (let i = 0; i < 5; i++) {
      writer.set(pod => ({ ...pod.status, phase: 'Running' }));
      await writer.flush();
    }
    expect(found().phase).toBe('Running');
    expect(writes()).toBe(1);
  });

  it('what comes while it writes replaces what waits', async () => {
    const { writer, found, writes } = await setup();
    for (let i = 0; i < 100; i++) writer.set(() => ({ message: String(i) }));
    await writer.flush();
    expect(found().message).toBe('99');
    expect(writes()).toBeLessThanOrEqual(2);
  });

  it("computes anew after a conflict, so that nobody's change is lost", async () => {
    const { api, writer, found } = await setup();
    const theirs = await api.client.get(Pod, key);
    await api.client.updateStatus(Pod, { ...theirs, status: { nominatedNodeName: 'n2' } });
    writer.set(pod => ({ ...pod.status, phase: 'Running' }));
    await writer.flush();
    expect(found()).toEqual({ nominatedNodeName: 'n2', phase: 'Running' });
  });

  it('tries until it succeeds', async () => {
    const { clock, api, writer, found } = await setup();
    api.fail('update', 'pods', new Error('connection refused'), 4);
    writer.set(() => ({ phase: 'Running' }));
    await clock.advance(20_000);
    expect(found().phase).toBe('Running');
  });

  it('never writes another pod of the name, nor one that is gone', async () => {
    const { api, writer, found, writes } = await setup();
    api.forget(Pod, key);
    writer.set(() => ({ phase: 'Running' }));
    await writer.flush();
    await api.client.create(Pod, { metadata: { ...key, uid: 'another' }, spec: { containers: [] } });
    const second = writes();
    writer.set(() => ({ phase: 'Failed' }));
    await writer.flush();
    expect([found(), writes()]).toEqual([{}, second]);
  });

  it('stops when it is told to', async () => {
    const { clock, api, writer } = await setup();
    api.fail('update', 'pods', new Error('connection refused'), 1_000);
    writer.set(() => ({ phase: 'Running' }));
    await clock.advance(1_000);
    writer.stop();
    await writer.flush();
    expect(clock.pending).toBe(0);
  });

  it('does not spin when the server stores something else', async () => {
    const { api, writer, writes } = await setup();
    const update = api.client.updateStatus.bind(api.client);
    api.client.updateStatus = (async (kind: any, object: any, options: any) =>
      update(kind, { ...object, status: { ...object.status, message: 'trimmed' } }, options)) as never;
    for (let i = 0; i < 10; i++) {
      writer.set(() => ({ phase: 'Running', message: 'much too long' }));
      await writer.flush();
    }
    expect(writes()).toBe(1);
  });
});
