import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isStoreUnavailable } from '../contract.js';
import { lockDirectory } from './directory-lock.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-lock-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const claims = async (): Promise<string[]> => (await fs.readdir(dir)).filter(name => name.endsWith('.lock'));

/** A claim as this process would write it, with something changed. */
async function claimOf(change: Record<string, unknown>): Promise<string> {
  const lock = await lockDirectory(dir);
  const [own] = await claims();
  const claim = JSON.parse(await fs.readFile(path.join(dir, own!), 'utf8'));
  await lock.release();
  const file = path.join(dir, 'owner-00ff.lock');
  await fs.writeFile(file, JSON.stringify({ ...claim, ...change }));
  return file;
}

it('has one owner, who can let go', async () => {
  const lock = await lockDirectory(dir);
  const refused = await lockDirectory(dir).catch(error => error);
  expect(isStoreUnavailable(refused)).toBe(true);
  expect(refused.message).toMatch(
    new RegExp(`^the data directory ${dir} is in use by process ${process.pid} on .*: stop that process first`),
  );
  expect(await claims()).toHaveLength(1);
  await lock.release();
  await lock.release();
  expect(await claims()).toEqual([]);
  await (await lockDirectory(dir)).release();
});

it('of many that start together at most one becomes the owner', async () => {
  for (let round = 0; round < 5; round++) {
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => lockDirectory(dir)));
    const owners = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
    expect(owners.length).toBeLessThanOrEqual(1);
    expect(await claims()).toHaveLength(owners.length);
    for (const owner of owners) await owner.release();
  }
});

it('takes over from a process that was killed', async () => {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const file = await claimOf({ pid: child.pid, started: await started(child.pid!) });
  await expect(lockDirectory(dir)).rejects.toThrow(`in use by process ${child.pid}`);
  const gone = new Promise(resolve => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  const lock = await lockDirectory(dir);
  await expect(fs.access(file)).rejects.toMatchObject({ code: 'ENOENT' });
  await lock.release();
});

it('takes over when the process id belongs to another process now, and after a restart of the machine', async () => {
  for (const change of [{ started: '1' }, { boot: 'another' }]) {
    await claimOf(change);
    await (await lockDirectory(dir)).release();
    expect(await claims()).toEqual([]);
  }
});

it('respects an owner that it cannot see while that owner touches its claim', async () => {
  const file = await claimOf({ namespace: 'pid:[1]', pid: 999_999 });
  await expect(lockDirectory(dir)).rejects.toThrow('in use by process 999999');
  const old = new Date(Date.now() - 60_000);
  await fs.utimes(file, old, old);
  await (await lockDirectory(dir)).release();
});

it('removes what is no claim', async () => {
  await fs.writeFile(path.join(dir, 'owner-ab.lock'), '{"pid":');
  await fs.writeFile(path.join(dir, 'other.lock'), 'not ours');
  await (await lockDirectory(dir)).release();
  expect(await claims()).toEqual(['other.lock']);
});

async function started(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
}
