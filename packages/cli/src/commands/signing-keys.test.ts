/** `orbit signing-keys` on a server that runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { apiServer, memoryStore } from '@orbitkit/apiserver';
import { compose, silentLogger } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { execute } from '../main.js';

it('shows the keys, rotates them, and takes the older ones away when they are revoked', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'orbitkit-keys-'));
  const stop = new AbortController();
  const kubeconfig = join(dir, 'kubeconfig');
  const cluster = compose(
    { log: silentLogger },
    apiServer({ store: memoryStore(), listen: { port: 0 }, dataDir: dir, kubeconfig }),
  );
  const running = cluster.run({ signal: stop.signal });
  try {
    await cluster.ready;
    const orbit = async (...words: string[]) => {
      const [stdout, stderr] = [new PassThrough(), new PassThrough()];
      const terminal = { stdin: process.stdin, stdout, stderr, env: { HOME: dir }, cwd: dir, signal: stop.signal };
      const code = await execute(['--kubeconfig', kubeconfig, ...words], terminal);
      return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
    };
    const listed = await orbit('signing-keys', 'list');
    expect(listed).toMatchObject({ code: 0, err: '' });
    expect(listed.out).toMatch(/^KEY +STATE +SIGNS FROM +UNTIL\n\S{43} +signing +\S+Z +-\n$/);
    const rotated = await orbit('signing-keys', 'rotate');
    expect(rotated.out.split('\n').slice(1, 3).join()).toMatch(/ signing .* verifying /);
    expect((await orbit('signing-keys', 'rotate', '--revoke')).out.trim().split('\n')).toHaveLength(2);
  } finally {
    stop.abort();
    await running;
    await rm(dir, { recursive: true });
  }
});
