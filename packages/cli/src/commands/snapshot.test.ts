/** `orbit snapshot`, `orbit store` and `orbit encryption`, as a person runs them: on directories, and on a server that runs. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { apiServer, embeddedStore, ensureEncryptionFile } from '@orbitkit/apiserver';
import { type Component, compose, Secret } from '@orbitkit/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { execute } from '../main.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbitkit-cli-'));
});
afterEach(() => rm(dir, { recursive: true }));

async function orbit(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const signal = new AbortController().signal;
  const code = await execute(words, { stdin: process.stdin, stdout, stderr, env: { HOME: dir }, cwd: dir, signal });
  return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') };
}

async function fill(dataDir: string, count: number): Promise<void> {
  const store = await embeddedStore({ dir: join(dataDir, 'store') })();
  for (let i = 0; i < count; i++) {
    await store.txn([], { type: 'put', key: `/registry/core/pods/default/p${i}`, value: Buffer.from(`pod ${i}`) });
  }
  await store.close();
}

describe('orbit snapshot', () => {
  it('saves a directory, checks the file, restores it elsewhere, refuses what is not empty or not intact', async () => {
    const [from, to] = [join(dir, 'from'), join(dir, 'to')];
    await fill(from, 30);
    expect(await orbit('snapshot', 'save', 'file', '--data-dir', from)).toMatchObject({ code: 0, err: '' });
    expect((await stat(join(dir, 'file'))).mode & 0o777).toBe(0o600);
    expect((await orbit('snapshot', 'status', 'file')).out).toMatch(
      /^intact: revision 31, 30 objects.*\n +30 {2}core\/pods\n$/,
    );
    expect(await orbit('snapshot', 'restore', 'file', '--data-dir', to)).toMatchObject({ code: 0, err: '' });
    const again = await orbit('snapshot', 'restore', 'file', '--data-dir', to);
    expect(again.code).toBe(1);
    expect(again.err).toMatch(/holds a store already/);
    expect((await orbit('snapshot', 'restore', 'file', '--data-dir', to, '--overwrite')).code).toBe(0);
    expect((await orbit('store', 'check', '--data-dir', to)).out).toMatch(/intact, 30 objects, revision 2000000031/);
    const bytes = await readFile(join(dir, 'file'));
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(join(dir, 'bad'), bytes);
    expect(await orbit('snapshot', 'status', 'bad')).toMatchObject({ code: 1, out: '' });
    // A failed save leaves the file from before, and nothing else.
    const nothing = await orbit('snapshot', 'save', 'file', '--data-dir', join(dir, 'nothing'));
    expect(nothing.err).toMatch(/nothing.store: there is no store/);
    expect((await readdir(dir)).sort()).toEqual(['bad', 'file', 'from', 'to']);
    expect((await orbit('snapshot', 'restore', 'file', '--store', 'postgres')).err).toMatch(
      /--store postgres: one of embedded, memory, etcd=/,
    );
    expect((await orbit('snapshot', 'restore', 'file', '--etcd-user', 'x')).err).toMatch(
      /flags of etcd need --store etcd=URL/,
    );
  }, 30_000);

  it('repairs a damaged store with what is intact', async () => {
    await fill(dir, 50);
    const [name] = await readdir(join(dir, 'store')).then(names => names.filter(each => each.endsWith('.segment')));
    const log = join(dir, 'store', name!);
    const bytes = await readFile(log);
    bytes[bytes.indexOf('pod 20')]! ^= 1;
    await writeFile(log, bytes);
    const check = await orbit('store', 'check', '--data-dir', dir);
    expect(check.code).toBe(1);
    expect(check.out).toMatch(
      /damaged at byte \d+, \d+ bytes; 1 records are lost \(21 to 21\)\n49 objects can be read/,
    );
    expect((await orbit('store', 'repair', '--data-dir', dir)).out).toMatch(
      /49 objects are there again; the files from before are in .*damaged-/,
    );
    expect((await orbit('store', 'check', '--data-dir', dir)).out).toMatch(/intact, 49 objects/);
  }, 30_000);

  it('saves a server that runs; keys change under it; secrets are never in the open', async () => {
    const encryption = join(dir, 'encryption.yaml');
    const kubeconfig = join(dir, 'kubeconfig');
    const start = async () => {
      const api = apiServer({
        store: embeddedStore({ dir: join(dir, 'store') }),
        encryption: () => ensureEncryptionFile(encryption),
        dataDir: dir,
        listen: { port: 0 },
        kubeconfig,
      });
      const stop = new AbortController();
      const composition = compose(api as Component);
      const run = composition.run({ signal: stop.signal });
      await composition.ready;
      const client = api.clientFor({ username: 'admin', groups: ['system:masters'] });
      return {
        client,
        async stop() {
          stop.abort();
          await run;
        },
      };
    };
    const secret = { metadata: { name: 'word', namespace: 'default' }, stringData: { word: 'opensesame' } };
    let server = await start();
    await server.client.create(Secret, secret as never);
    expect(await orbit('--kubeconfig', kubeconfig, 'snapshot', 'save', 'file')).toEqual({
      code: 0,
      err: '',
      out: expect.any(String),
    });
    const clear = Buffer.from('opensesame').toString('base64');
    const saved = await readFile(join(dir, 'file'));
    expect(saved.includes(clear)).toBe(false);
    await server.stop();

    expect((await orbit('encryption', 'add-key', '--data-dir', dir)).out).toMatch(/key-.* was added/);
    server = await start();
    expect(await orbit('--kubeconfig', kubeconfig, 'encryption', 'rewrite')).toMatchObject({ code: 0, err: '' });
    expect((await orbit('--kubeconfig', kubeconfig, 'encryption', 'rewrite')).out).toMatch(
      /^0 of \d+ entries were written anew/,
    );
    await server.stop();
    expect((await orbit('snapshot', 'restore', 'file', '--data-dir', dir, '--overwrite')).code).toBe(0);
    server = await start();
    const read = await server.client.get(Secret, { namespace: 'default', name: 'word' });
    expect(read.data?.['word']).toBe(clear);
    await server.stop();
  }, 60_000);
});
