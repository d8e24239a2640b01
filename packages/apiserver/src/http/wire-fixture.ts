/** For the tables of the wire protocol: requests in short, and what a refusal must say. */
import { expect } from 'vitest';
import type { TestServer } from './test-server.js';

export const maps = '/api/v1/namespaces/default/configmaps';
export const map = (name: string, more: object = {}) => ({ metadata: { name }, ...more });

export function requests(server: () => TestServer) {
  return {
    post: (path: string, body: object | string, headers: Record<string, string> = {}) =>
      server().json(path, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), headers }),
    put: (path: string, body: object) => server().json(path, { method: 'PUT', body: JSON.stringify(body) }),
    patch: (path: string, type: string, body: unknown) =>
      server().json(path, {
        method: 'PATCH',
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': `application/${type}` },
      }),
    remove: (path: string, body?: object) =>
      server().json(path, { method: 'DELETE', ...(body ? { body: JSON.stringify(body) } : {}) }),
  };
}

/** What a failure must say. */
export interface Refusal {
  code: number;
  reason?: string;
  message: string | RegExp;
  details?: object;
}
export function expectRefusal(
  answer: { status: number; body: any },
  { code, reason, message, details }: Refusal,
): void {
  expect([answer.status, answer.body]).toEqual([
    code,
    expect.objectContaining({
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code,
      ...(reason ? { reason } : {}),
      message: typeof message === 'string' ? message : expect.stringMatching(message),
      ...(details ? { details: expect.objectContaining(details) } : {}),
    }),
  ]);
}
