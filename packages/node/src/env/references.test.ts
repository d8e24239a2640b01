import { ConfigMap, manualClock, Service } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { fakeApi } from '../agent/testing/fake-api.js';
import { references } from './references.js';

function setup() {
  const clock = manualClock();
  const api = fakeApi({ now: () => clock.now() });
  return { clock, api, refs: references({ client: api.client, clock, freshMs: 2_000 }) };
}

describe('references', () => {
  it('share one read for a while, then read again', async () => {
    const { clock, api, refs } = setup();
    await api.client.create(ConfigMap, { metadata: { name: 'c', namespace: 'x' }, data: { a: '1' } });
    const found = await Promise.all([refs.configMap('x', 'c'), refs.configMap('x', 'c'), refs.configMap('x', 'c')]);
    expect(found.map(object => object?.data?.['a'])).toEqual(['1', '1', '1']);
    expect(api.calls.get('get configmaps')).toBe(1);
    await clock.advance(2_000);
    await refs.configMap('x', 'c');
    expect(api.calls.get('get configmaps')).toBe(2);
  });

  it('answer undefined for what does not exist, and throw what cannot be read, without remembering it', async () => {
    const { api, refs } = setup();
    expect(await refs.secret('x', 'none')).toBeUndefined();
    api.fail('get', 'configmaps', new Error('connection refused'));
    await expect(refs.configMap('x', 'c')).rejects.toThrow('connection refused');
    expect(await refs.configMap('x', 'c')).toBeUndefined();
  });

  it('stop waiting when the signal aborts, while the read goes on for others', async () => {
    const { api, refs } = setup();
    await api.client.create(ConfigMap, { metadata: { name: 'c', namespace: 'x' }, data: {} });
    const abort = new AbortController();
    const mine = refs.configMap('x', 'c', abort.signal);
    const other = refs.configMap('x', 'c');
    abort.abort(new Error('given up'));
    await expect(mine).rejects.toThrow('given up');
    expect(await other).toBeDefined();
  });

  it("services are those of the namespace and the API server's", async () => {
    const { api, refs } = setup();
    for (const [name, namespace] of [
      ['kubernetes', 'default'],
      ['other', 'default'],
      ['web', 'x'],
    ] as const) {
      await api.client.create(Service, { metadata: { name, namespace }, spec: {} });
    }
    expect((await refs.services('x')).map(({ metadata }) => metadata.name)).toEqual(['kubernetes', 'web']);
  });
});
