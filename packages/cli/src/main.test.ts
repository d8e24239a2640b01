import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { execute } from './main.js';
import type { Terminal } from './terminal.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'orbit-main-'));
  writeFileSync(join(folder, 'file'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

async function orbit(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const into = (name: keyof typeof texts) =>
    new Writable({
      write(chunk, _encoding, done) {
        texts[name] += String(chunk);
        done();
      },
    });
  const terminal: Terminal = {
    stdin: process.stdin,
    stdout: into('out'),
    stderr: into('err'),
    env: { HOME: folder },
    cwd: folder,
    signal: AbortSignal.timeout(20_000),
  };
  return { code: await execute(words, terminal), ...texts };
}

describe('the command line', () => {
  it('tells its version', async () => {
    expect(await orbit('--version')).toEqual({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' });
  });

  it.each([
    ['before the command', ['--kubeconfig', 'nowhere', 'get', 'pods']],
    ['after it', ['get', 'pods', '--kubeconfig', 'nowhere']],
    ['after a command of a command', ['auth', 'whoami', '--kubeconfig', 'nowhere']],
    ['for a role', ['controller-manager', '--cluster-cidr', '10.1.0.0/16', '--kubeconfig', 'nowhere']],
  ])('takes the kubeconfig %s, and blames no server for it', async (_where, words) => {
    const { code, err } = await orbit(...words);
    expect(code).toBe(1);
    expect(err).toMatch(/^Error: cannot read the kubeconfig .*nowhere: ENOENT/);
  });

  it('says where it looked for a cluster', async () => {
    const { code, err } = await orbit('get', 'pods');
    expect(code).toBe(1);
    expect(err).toBe(
      `Error: no cluster found (looked at --kubeconfig, $KUBECONFIG, ${folder}/.orbit/kubeconfig, ${folder}/.kube/config); start one with \`orbit up\`\n`,
    );
  });

  it('blames no server that does not answer', async () => {
    const user = { name: 'me', user: { token: 'x' } };
    const cluster = { name: 'gone', cluster: { server: 'http://127.0.0.1:1' } };
    const context = { name: 'gone', context: { cluster: 'gone', user: 'me' } };
    const kubeconfig = { clusters: [cluster], users: [user], contexts: [context], 'current-context': 'gone' };
    writeFileSync(join(folder, 'gone'), JSON.stringify(kubeconfig));
    const { code, err } = await orbit('get', 'pods', '--kubeconfig', join(folder, 'gone'));
    expect({ code, err }).toEqual({
      code: 1,
      err: 'Error: nothing listens on 127.0.0.1:1: is the API server running?\n',
    });
  });

  it('waits for no Docker daemon that is not there', async () => {
    vi.stubEnv('DOCKER_HOST', `unix://${folder}/docker.sock`);
    try {
      const { code, err } = await orbit('up', '--runtime', 'docker', '--data-dir', 'new');
      expect({ code, err }).toEqual({
        code: 1,
        err: `Error: --runtime docker: the Docker daemon at ${folder}/docker.sock does not answer (ENOENT): is dockerd running, and may this user use its socket?\n`,
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });

  it.each([
    [['up', '--data-dir', 'file'], /^Error: --data-dir .*\/file: it is a file, not a directory\n$/],
    [
      ['up', '--data-dir', 'new', '--log-level', 'loud'],
      /^Error: --log-level loud: one of debug, info, warn, error\n$/,
    ],
    [
      ['get', 'pods', '-l', 'a in'],
      /^Error: option '-l, --selector <labels>' argument 'a in' is invalid. unable to parse requirement/,
    ],
    [['get', 'pods', '--field-selector', 'a'], /^Error: option '--field-selector <fields>' argument 'a' is invalid. /],
    [['snapshot', 'status', 'nowhere'], /^Error: nowhere: no such file or folder\n$/],
    [['snapshot', 'save', 'no/where'], /^Error: no\/where: no such file or folder\n$/],
    [
      ['up', '--data-dir', 'new', '--store', 'etcd=https://127.0.0.1:1', '--etcd-ca', 'ca'],
      /^Error: --etcd-ca ca: no such file or folder\n$/,
    ],
    [['up', '-n', 'web'], /^Error: unknown option '-n'\n/],
  ])('%j is refused, and the option is named', async (words, message) => {
    const { code, err } = await orbit(...words);
    expect(code).toBe(1);
    expect(err).toMatch(message);
  });
});
