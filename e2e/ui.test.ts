/**
 * `orbit ui` in a real terminal: tmux draws it, types the keys and hands out what stands on the screen.
 *
 * Without tmux the test is skipped (`apt-get install tmux`); with `ORBITKIT_CI=1` it fails.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ConfigMap, Pod } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, startCluster, type TestCluster } from './cluster.js';
import { echoContainer, podOf, running, shellContainer } from './manifests.js';

const namespace = 'default';
const present = spawnSync('tmux', ['-V']).status === 0;
if (!present && process.env['ORBITKIT_CI']) throw new Error('tmux is missing: apt-get install tmux');
const program = fileURLToPath(new URL('../packages/cli/bin/orbit.js', import.meta.url));

describe.skipIf(!present)('orbit ui in tmux (skipped without: apt-get install tmux)', () => {
  let cluster: TestCluster;
  let socket: string;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
    socket = `${cluster.directory}/tmux`;
    const ticks = 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done';
    await cluster.client.create(Pod, podOf('alpha', echoContainer()));
    await cluster.client.create(Pod, podOf('beta', shellContainer(ticks)));
    await Promise.all([running(cluster, 'alpha'), running(cluster, 'beta')]);
    const shell = `${process.execPath} ${program} ui; echo "ended with $?"; cat`;
    await tmux('-f', '/dev/null', 'new-session', '-d', '-x', '120', '-y', '30', 'sh', '-c', shell);
  });
  afterAll(async () => {
    if (socket) await cluster.run('tmux', ['-S', socket, 'kill-server']);
    await cluster?.stop();
  }, 90_000);

  async function tmux(...args: string[]): Promise<string> {
    const { code, out, err } = await cluster.run('tmux', ['-S', socket, ...args], {
      env: { TERM: 'xterm-256color', SHELL: '/bin/sh' },
    });
    if (code !== 0) throw new Error(`tmux ${args.join(' ')}: ${err}`);
    return out;
  }
  const screen = () => tmux('capture-pane', '-p');
  /** `Enter`, `Escape`; anything else is typed as it stands. */
  const press = (...keys: string[]) => tmux('send-keys', ...keys);
  const type = (text: string) => tmux('send-keys', '-l', text);
  const shows = (pattern: RegExp, not?: RegExp) =>
    eventually(
      `the screen shows ${pattern}${not ? `, not ${not}` : ''}`,
      async () => {
        const text = await screen();
        if (!pattern.test(text) || not?.test(text)) throw new Error(`\n${text}`);
        return text;
      },
      15_000,
    );

  it('lists pods, and shows changes as they happen', async () => {
    const text = await shows(/^beta\s+1\/1\s+Running/m);
    expect(text).toMatch(/^orbit https:\/\/127\.0\.0\.1:\d+ {2}pods\(default\) \[2\]/m);
    expect(text).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE/m);
    expect(text).toMatch(/^alpha\s+1\/1\s+Running/m);
    await cluster.client.create(Pod, podOf('gamma', echoContainer()));
    await shows(/^gamma\s+1\/1\s+Running[\s\S]*$/m);
    await shows(/pods\(default\) \[3\]/);
    await cluster.client.delete(Pod, { namespace, name: 'gamma' }, { gracePeriodSeconds: 0 });
    await shows(/pods\(default\) \[2\]/, /gamma/);
  });

  it('filters', async () => {
    await type('/bet');
    await press('Enter');
    await shows(/\[1\/2\] \/bet[\s\S]*^beta/m, /^alpha/m);
  });

  it('describes the selected object', async () => {
    await type('d');
    await shows(/describe beta[\s\S]*^Name:\s+beta[\s\S]*^Namespace:\s+default/m);
    await press('Escape');
    await shows(/^beta\s+1\/1/m, /describe beta/);
  });

  it('follows logs', async () => {
    await type('l');
    const last = (text: string) => Math.max(...[...text.matchAll(/^tick (\d+)$/gm)].map(match => Number(match[1])));
    const first = last(await shows(/logs beta[\s\S]*^tick \d+$/m));
    await eventually('it goes on', async () => last(await screen()) > first + 2);
    await press('Escape');
    await shows(/^beta\s+1\/1/m, /logs beta/);
  });

  it('changes kind and namespace', async () => {
    await press('Escape');
    await cluster.client.create(ConfigMap, { metadata: { name: 'words', namespace }, data: { a: 'b' } });
    await type(':cm');
    await press('Enter');
    await shows(/configmaps\(default\)[\s\S]*^words\s+1/m);
    await type(':nonsense');
    await press('Enter');
    await shows(/nonsense/);
    // The return in the same breath, as a paste brings it.
    await type(':nodes\r');
    await shows(/^n1\s+Ready/m);
    await type(':pods');
    await press('Enter');
    await shows(/^beta\s+1\/1/m);
    await type('n');
    await type('kube-system');
    await press('Enter');
    await shows(/pods\(kube-system\) \[0\][\s\S]*nothing here/, /^beta/m);
    await type('n');
    await type('all');
    await press('Enter');
    await shows(/pods\(all namespaces\) \[2\][\s\S]*default\s+beta/);
  });

  it('deletes only what was confirmed', async () => {
    await type('/alpha');
    await press('Enter');
    await shows(/\[1\/2\]/);
    await type('x');
    await shows(/delete pods alpha\? \(y\/n\)/);
    await type('n');
    await shows(/not deleted/);
    await type('x');
    await shows(/delete pods alpha\? \(y\/n\)/);
    await type('y');
    await shows(/\[0\/1\]/, /alpha\s+1\/1/);
    await eventually('the pod is gone', async () => {
      const { items } = await cluster.client.list(Pod, { namespace });
      return items.every(pod => pod.metadata.name !== 'alpha');
    });
    await press('Escape');
  });

  it('ends cleanly and leaves the terminal as it was', async () => {
    await type('q');
    await shows(/ended with 0/, /RESTARTS/);
    expect((await tmux('display-message', '-p', '#{alternate_on} #{cursor_flag}')).trim()).toBe('0 1');
  });
});
