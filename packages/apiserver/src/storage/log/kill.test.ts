/**
 * `kill -9` at random moments under 64 concurrent writers. `ORBITKIT_KILL_ROUNDS` sets how often (default 5; the long run takes 1,000).
 * The page cache survives a killed process: that nothing is acknowledged before it is on disk is proven by `crash.test.ts`.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { embeddedStore } from '../embedded.js';
import { contentOf } from './testing/witness.js';

const rounds = Number(process.env['ORBITKIT_KILL_ROUNDS'] ?? 5);
let dir: string;
let program: string;

beforeAll(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-kill-'));
  program = path.join(dir, 'killed-writer.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./testing/killed-writer.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['@orbitkit/source'],
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  });
});
afterAll(() => fs.rm(dir, { recursive: true, force: true }));

/** Runs the program, kills it a random time after it has begun to write; what it reported. */
async function killedRun(data: string, round: number): Promise<{ firstRevision: bigint; lines: string[] }> {
  const child = spawn(process.execPath, [program, data, String(round)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  let ready: (() => void) | undefined;
  const begun = new Promise<void>(resolve => {
    ready = resolve;
  });
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk;
    if (output.includes('\n')) ready!();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  const closed = new Promise<NodeJS.Signals | null>(resolve => child.once('close', (_, signal) => resolve(signal)));
  await Promise.race([begun, closed]);
  await new Promise(resolve => setTimeout(resolve, Math.random() * 400));
  child.kill('SIGKILL');
  expect(await closed, errors).toBe('SIGKILL');
  const lines = output.split('\n').slice(0, -1);
  return { firstRevision: BigInt(lines[0]!.split(' ')[1]!), lines: lines.slice(1) };
}

it(
  `${rounds} times: every acknowledged write is there, none is half there`,
  async () => {
    const data = path.join(dir, 'data');
    let acknowledged = 0;
    let revision = 1n;
    for (let round = 0; round < rounds; round++) {
      const { firstRevision, lines } = await killedRun(data, round);
      expect(firstRevision).toBe(revision);
      const store = await embeddedStore({ dir: data })();
      ({ revision } = await store.status());
      const last = new Map<string, number>();
      const revisions = new Map<string, bigint>();
      for (const line of lines) {
        const [key, turn, at] = line.split(' ') as [string, string, string];
        last.set(key.split('/')[1]!, Number(turn));
        revisions.set(key, BigInt(at));
        expect(revision).toBeGreaterThanOrEqual(BigInt(at));
      }
      acknowledged += lines.length;
      for (let writer = 0; writer < 64; writer++) {
        const prefix = `r${round}/${writer}/`;
        const turns = new Map(
          (await store.list(prefix)).entries.map(entry => [Number(entry.key.slice(prefix.length)), entry]),
        );
        const reported = last.get(String(writer)) ?? -1;
        // The delete of turn - 20 comes after the put of a turn: that one may or may not be gone.
        for (let turn = Math.max(0, reported - 19); turn <= reported; turn++) {
          expect(turns.get(turn)?.modRevision, `${prefix}${turn}`).toBe(revisions.get(`${prefix}${turn}`));
        }
        for (const [turn, entry] of turns) {
          expect(turn).toBeGreaterThanOrEqual(reported - 20);
          expect(turn).toBeLessThanOrEqual(reported + 1);
          expect(contentOf(entry.key, turn).equals(Buffer.from(entry.value)), entry.key).toBe(true);
        }
      }
      // The next round begins with an empty state and the same log.
      for (const { key } of (await store.list('')).entries) await store.txn([], { type: 'delete', key });
      ({ revision } = await store.status());
      await store.close();
    }
    expect(acknowledged).toBeGreaterThan(100 * rounds);
  },
  20_000 + rounds * 5_000,
);
