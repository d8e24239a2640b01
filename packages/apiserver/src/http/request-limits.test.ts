/** Requests that cost more to handle than to send are refused, each by its bound. */
import { gzipSync } from 'node:zlib';
import { ConfigMap } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maxYamlBytes, StreamBounds } from './request-limits.js';
import { type TestServer, testServer } from './test-server.js';

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
  await server.client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
});
afterAll(() => server.stop());

const path = '/api/v1/namespaces/default/configmaps';
async function send(method: string, target: string, type: string, body: string | Buffer, more = {}) {
  const answer = await fetch(server.url + target, { method, headers: { 'content-type': type, ...more }, body });
  return { status: answer.status, message: ((await answer.json()) as { message?: string }).message };
}
const json = 'application/json';
const merge = 'application/merge-patch+json';
const apply = 'application/apply-patch+yaml';

describe('bodies', () => {
  it.each([
    ['lists', `{"metadata":{"name":"d"},"data":${'['.repeat(5_000)}${']'.repeat(5_000)}}`],
    ['objects', `{"metadata":{"name":"d"},"data":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`],
    ['unclosed ones', '['.repeat(100_000)],
  ])('with %s in lists in lists are refused, in every form', async (_what, body) => {
    for (const [method, target, type] of [
      ['POST', path, json],
      ['POST', path, 'application/yaml'],
      ['PATCH', `${path}/a`, merge],
      ['PATCH', `${path}/a`, 'application/strategic-merge-patch+json'],
      ['PATCH', `${path}/a?fieldManager=x`, apply],
      ['DELETE', `${path}/a`, json],
    ] as const)
      expect(await send(method, target, type, body)).toEqual({
        status: 400,
        message: expect.stringMatching(/nested deeper than 256 levels/),
      });
  });

  it('whose strings are full of brackets are none of these', async () => {
    const text = '[{"'.repeat(2_000);
    const made = await send('POST', path, json, JSON.stringify({ metadata: { name: 'b' }, data: { text } }));
    expect(made.status).toBe(201);
  });

  it('of YAML are refused when they are deep, blow up, or are long', async () => {
    const yaml = (body: string) => send('POST', path, 'application/yaml', body);
    expect((await yaml(`a: ${'- '.repeat(20_000)}x`)).status).toBe(400);
    // Found by hand: a key that is a key that is a key takes the parser exponential time.
    for (const body of [
      '? '.repeat(60),
      `${'? '.repeat(60)}x`,
      `{${'? {'.repeat(100)}`,
      '? \n'.repeat(40),
      '? [a]\n: b',
      '- '.repeat(60),
    ]) {
      const began = performance.now();
      expect([400, 422]).toContain((await yaml(body)).status);
      expect(performance.now() - began).toBeLessThan(5_000);
    }
    const letters = 'abcdefghij'.split('');
    const bomb = letters.map((letter, i) =>
      i === 0 ? 'a: &a [x,x,x,x,x,x,x,x,x]' : `${letter}: &${letter} [${`*${letters[i - 1]},`.repeat(8)}x]`,
    );
    expect(await yaml(bomb.join('\n'))).toMatchObject({ status: 400, message: expect.stringMatching(/alias/i) });
    expect((await yaml(`data: {a: ${'x'.repeat(maxYamlBytes)}}`)).status).toBe(413);
  });

  it('that are compressed are refused, whatever they would become', async () => {
    const bomb = gzipSync(Buffer.alloc(50 << 20));
    expect(await send('POST', path, json, bomb, { 'content-encoding': 'gzip' })).toMatchObject({ status: 400 });
  });

  it('of more operations or copies than a JSON patch may have are refused', async () => {
    const patch = (operations: unknown) =>
      send('PATCH', `${path}/a`, 'application/json-patch+json', JSON.stringify(operations));
    const test = { op: 'test', path: '/kind', value: 'ConfigMap' };
    expect((await patch(new Array(10_001).fill(test))).status).toBe(413);
    const doubling = Array.from({ length: 60 }, (_, i) => ({ op: 'copy', from: '', path: `/x${i}` }));
    expect((await patch([{ op: 'add', path: '/data', value: { a: 'x'.repeat(1_000) } }, ...doubling])).status).toBe(
      413,
    );
  });

  it('that make an object larger than the store takes are refused with what to do', async () => {
    const body = JSON.stringify({ metadata: { name: 'big' }, data: { a: 'x'.repeat(1_600_000) } });
    const answer = await send('POST', path, json, body);
    expect([413, 422]).toContain(answer.status);
  });
});

describe('targets', () => {
  it('are bounded in length and in the number of their parameters', async () => {
    const get = async (target: string) => (await fetch(server.url + target)).status;
    expect(await get(`${path}?labelSelector=${'a'.repeat(40_000)}`)).toBe(414);
    expect(await get(`${path}?${'a=b&'.repeat(300)}`)).toBe(400);
    expect(await get(`${path}?${Array.from({ length: 200 }, (_, i) => `x${i}=y`).join('&')}`)).toBe(200);
  });
});

describe('open streams', () => {
  it('are counted for each user and given back once', () => {
    const bounds = new StreamBounds();
    const closers = Array.from({ length: 5_000 }, () => bounds.open('greedy'));
    expect(() => bounds.open('greedy')).toThrow(expect.objectContaining({ code: 429 }));
    bounds.open('polite')();
    closers[0]!();
    closers[0]!();
    bounds.open('greedy');
    expect(() => bounds.open('greedy')).toThrow(expect.objectContaining({ code: 429 }));
  });

  it('leave nothing counted behind, however the watch ended', async () => {
    const open = async () =>
      /apiserver_longrunning_requests\{[^}]*configmaps[^}]*\} (\d+)/.exec(await server.metrics.text())?.[1];
    const stop = new AbortController();
    const watch = await fetch(`${server.url}${path}?watch=true`, { signal: stop.signal });
    expect(watch.status).toBe(200);
    expect(await open()).toBe('1');
    await fetch(`${server.url}${path}?watch=true&resourceVersion=x`);
    expect(await open()).toBe('1');
    stop.abort();
    for (let i = 0; i < 500 && (await open()) !== '0'; i++) await new Promise(resolve => setTimeout(resolve, 10));
    expect(await open()).toBe('0');
  });
});
