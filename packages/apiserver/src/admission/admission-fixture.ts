/** For tests of admission: a server with these plugins, and requests to it. */
import { type TestServer, testServer } from '../http/test-server.js';
import type { AdmissionPlugin } from './contract.js';

export interface AdmissionServer extends TestServer {
  post(path: string, body: object): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: any }>;
  get(path: string): Promise<any>;
  send(method: 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object): Promise<{ status: number; body: any }>;
}

export async function admissionServer(...admission: AdmissionPlugin[]): Promise<AdmissionServer> {
  const server = await testServer({ resources: { admission } });
  const request = (method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object) =>
    server.json(path, {
      method,
      headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
      ...(body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) }),
    });
  return {
    ...server,
    post: (path, body) => request('POST', path, body),
    get: async path => (await server.json(path)).body,
    send: request,
  };
}

export const inDefault = (plural: string, api = '/api/v1'): string => `${api}/namespaces/default/${plural}`;

type Resources = { requests?: Record<string, string>; limits?: Record<string, string> };

export const podOf = (name: string, resources?: Resources, spec: object = {}): any => ({
  metadata: { name },
  spec: { containers: [{ name: 'c', image: 'i', ...(resources ? { resources } : {}) }], ...spec },
});
