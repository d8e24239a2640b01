import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type NetworkRanges, networkRanges } from './network-ranges.js';

let folder: string;
const open: NetworkRanges[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ranges-'));
});
afterEach(async () => {
  for (const ranges of open.splice(0)) await ranges.release();
  await rm(folder, { recursive: true });
});

async function pick(name: string, mode: 'rootless' | 'root' = 'rootless'): Promise<NetworkRanges> {
  const ranges = await networkRanges({ stateFile: join(folder, name), mode });
  open.push(ranges);
  return ranges;
}

it('picks ranges in 127/8, and a /24 for each node', async () => {
  const ranges = await pick('one');
  expect(ranges.podCIDR).toMatch(/^127\.\d+\.0\.0\/16$/);
  expect(ranges.serviceCIDR).toMatch(/^127\.\d+\.0\.0\/16$/);
  const second = ranges.podCIDR.split('.')[1];
  expect(ranges.podCIDRFor(0)).toBe(`127.${second}.0.0/24`);
  expect(ranges.podCIDRFor(255)).toBe(`127.${second}.255.0/24`);
  expect(() => ranges.podCIDRFor(256)).toThrow(RangeError);
});

it('gives twenty clusters at once different ranges', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, (_, index) => pick(`cluster-${index}`)));
  const used = all.flatMap(({ podCIDR, serviceCIDR }) => [podCIDR, serviceCIDR]);
  expect(new Set(used).size).toBe(40);
});

it('keeps its choice, also when its own pods are bound in it', async () => {
  const first = await pick('one');
  await first.release();
  const pod = createServer();
  await new Promise<void>(resolve => pod.listen(0, first.podCIDRFor(3).replace('.0/24', '.7'), resolve));
  try {
    expect((await pick('one')).podCIDR).toBe(first.podCIDR);
  } finally {
    await new Promise(resolve => pod.close(resolve));
  }
});

it('passes over a range in which somebody listens', async () => {
  const first = await pick('one');
  await first.release();
  await rm(join(folder, 'one'));
  const stranger = createServer();
  await new Promise<void>(resolve => stranger.listen(0, first.serviceCIDR.replace('.0.0/16', '.4.4'), resolve));
  try {
    expect((await pick('one')).podCIDR).not.toBe(first.podCIDR);
  } finally {
    await new Promise(resolve => stranger.close(resolve));
  }
});

it('picks ordinary ranges for root', async () => {
  const ranges = await pick('root', 'root');
  expect(ranges.podCIDR).toMatch(/^10\./);
  expect(ranges.serviceCIDR).toMatch(/^10\./);
});
