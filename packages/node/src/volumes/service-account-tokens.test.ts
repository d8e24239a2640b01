import { type Client, manualClock, type Pod } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { podTokens } from './service-account-tokens.js';

const pod = { metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { serviceAccountName: 'robot' } } as Pod;

/** An API that hands out numbered tokens and notes what it was asked. */
function api() {
  const clock = manualClock();
  const asked: any[] = [];
  let fails = false;
  const client = {
    async createSubresource(_kind: unknown, key: unknown, name: string, body: any) {
      if (fails) throw new Error('the API is away');
      asked.push({ key, name, ...body.spec });
      const expires = clock.now() + body.spec.expirationSeconds * 1000;
      return { status: { token: `token ${asked.length}`, expirationTimestamp: new Date(expires).toISOString() } };
    },
  } as unknown as Client;
  return {
    clock,
    asked,
    tokens: podTokens({ client, clock }),
    fail: (yes: boolean) => {
      fails = yes;
    },
  };
}

it('are asked for the pod, bound to it, once', async () => {
  const { tokens, asked } = api();
  expect(await tokens.token(pod, { expirationSeconds: 3607 })).toBe('token 1');
  expect(await tokens.token(pod, { expirationSeconds: 3607 })).toBe('token 1');
  expect(await tokens.token(pod, { expirationSeconds: 3607, audience: 'vault' })).toBe('token 2');
  expect(asked).toEqual([
    {
      key: { namespace: 'n', name: 'robot' },
      name: 'token',
      audiences: [],
      expirationSeconds: 3607,
      boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name: 'p', uid: 'u' },
    },
    expect.objectContaining({ audiences: ['vault'] }),
  ]);
});

it('are renewed at four fifths of their time; a failed renewal leaves the older one until it expires', async () => {
  const { tokens, clock, fail } = api();
  await tokens.token(pod, { expirationSeconds: 1000 });
  await clock.advance(799_000);
  expect(await tokens.token(pod, { expirationSeconds: 1000 })).toBe('token 1');
  await clock.advance(2_000);
  fail(true);
  expect(await tokens.token(pod, { expirationSeconds: 1000 })).toBe('token 1');
  fail(false);
  expect(await tokens.token(pod, { expirationSeconds: 1000 })).toBe('token 2');
  fail(true);
  await clock.advance(1_000_000);
  await expect(tokens.token(pod, { expirationSeconds: 1000 })).rejects.toThrow('the API is away');
});

it('of a pod that is gone are forgotten', async () => {
  const { tokens } = api();
  await tokens.token(pod, {});
  tokens.forget('u');
  expect(await tokens.token(pod, {})).toBe('token 2');
});
