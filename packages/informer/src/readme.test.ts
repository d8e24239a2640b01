/** The example of the README runs, and prints what its comments say. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const example = /```ts\n(.*?)```/s.exec(readFileSync(`${root}README.md`, 'utf8'))![1]!;
/** Stands for the reader's cluster: two pods on n1, one on n2, and nothing happens. */
const cluster = `
const pod = (name: string, nodeName: string) => ({
  kind: 'Pod', apiVersion: 'v1', spec: { nodeName, containers: [] }, status: {},
  metadata: { name, namespace: 'default', uid: name, resourceVersion: '7', creationTimestamp: '' },
});
export const client: any = {
  list: async () => ({ metadata: { resourceVersion: '7' }, items: [pod('web-1', 'n1'), pod('web-2', 'n1'), pod('db', 'n2')] }),
  async *watchBatches(_kind: unknown, { signal }: { signal: AbortSignal }) {
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  },
};`;

afterEach(() => vi.restoreAllMocks());

test('the example has at most 15 lines and prints what its comments say', async () => {
  expect(example.split('\n').filter(line => line.trim()).length).toBeLessThanOrEqual(15);
  const expected = [...example.matchAll(/console\.log\(.*; \/\/ (.*)$/gm)].map(match => match[1]);
  expect(expected).toHaveLength(2);
  const printed: unknown[] = [];
  vi.spyOn(console, 'log').mockImplementation((...values: unknown[]) => void printed.push(values.join(' ')));
  const folder = mkdtempSync(join(root, '.readme-'));
  try {
    writeFileSync(join(folder, 'cluster.ts'), cluster);
    writeFileSync(join(folder, 'example.ts'), example);
    await import(/* @vite-ignore */ pathToFileURL(join(folder, 'example.ts')).href);
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(printed).toEqual(expected);
});
