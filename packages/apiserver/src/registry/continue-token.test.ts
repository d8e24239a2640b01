import { describe, expect, it } from 'vitest';
import { decodeContinue, encodeContinue } from './continue-token.js';

describe('continue tokens', () => {
  it('have the form that Kubernetes gives them', () => {
    const token = encodeContinue({ revision: 12n, after: 'ns/c2' });
    expect(JSON.parse(Buffer.from(token, 'base64url').toString())).toEqual({
      v: 'meta.k8s.io/v1',
      rv: 12,
      start: 'ns/c2\0',
    });
    expect(decodeContinue(token)).toEqual({ revision: 12n, after: 'ns/c2' });
    expect(decodeContinue(encodeContinue({ revision: -1n, after: 'x' }))).toEqual({ revision: -1n, after: 'x' });
  });

  it.each([
    ['!!', 'continue key is not valid'],
    ['Zm9v', 'continue key is not valid'],
    [Buffer.from('{"v":"v2","rv":1,"start":"a"}').toString('base64url'), 'does not recognize this encoded version'],
    [
      Buffer.from('{"v":"meta.k8s.io/v1","rv":0,"start":"a"}').toString('base64url'),
      'incorrect encoded start resourceVersion',
    ],
    [Buffer.from('{"v":"meta.k8s.io/v1","rv":1,"start":""}').toString('base64url'), 'encoded start key empty'],
  ])('refuses %s', (token, message) => {
    expect(() => decodeContinue(token)).toThrow(message);
    try {
      decodeContinue(token);
    } catch (error) {
      expect(error).toMatchObject({ code: 400, reason: 'BadRequest' });
    }
  });
});
