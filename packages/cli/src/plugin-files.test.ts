/** Plugins from files: what is taken, what is refused and how, and that nothing stays on disk. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Plugin } from '@orbitkit/scheduler';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pluginsFrom, weightedPlugins } from './plugin-files.js';
import { type PluginFlags, pluginOptions } from './plugin-flags.js';
import type { Terminal } from './terminal.js';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'orbit-plugin-files-'));
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const terminal = (): Terminal => ({
  stdin: new PassThrough(),
  stdout: new PassThrough(),
  stderr: new PassThrough(),
  env: {},
  cwd,
  signal: new AbortController().signal,
});
const load = (...files: string[]) => pluginsFrom(files, terminal());
const namesIn = async (...files: string[]) => (await load(...files))().map(plugin => plugin.name);

describe('a file', () => {
  it.each([
    ['one.ts', "export default { name: 'One', score: (_pod: object, node: { slot: number }): number => node.slot };"],
    ['one.js', "export default { name: 'One', filter() {} };"],
    ['one.mjs', "export default [{ name: 'One', filter() {} }];"],
    ['made.ts', "export default ({ weight = 3 } = {}) => ({ name: 'One', weight, filter() {} });"],
    ['made.cts', "module.exports = { name: 'One', filter() {} };"],
    [
      'typed.ts',
      "import type { Plugin } from '@orbitkit/scheduler';\nexport default { name: 'One', filter() {} } as Plugin;",
    ],
  ])('%s is taken', async (file, text) => {
    await writeFile(join(cwd, file), text);
    expect(await namesIn(file)).toEqual(['One']);
  });

  it('brings what it imports, and several go together in their order', async () => {
    await mkdir(join(cwd, 'parts'), { recursive: true });
    await writeFile(join(cwd, 'parts/names.ts'), "export const name: string = 'Second';");
    await writeFile(
      join(cwd, 'second.ts'),
      "import { name } from './parts/names.js';\nexport default () => [{ name, filter() {} }, { name: 'Third', filter() {} }];",
    );
    await writeFile(join(cwd, 'first.ts'), "export default { name: 'First', filter() {} };");
    expect(await namesIn('first.ts', 'second.ts')).toEqual(['First', 'Second', 'Third']);
  });

  it('makes plugins of their own for each scheduler', async () => {
    await writeFile(join(cwd, 'state.ts'), "export default () => ({ name: 'State', filter() {} });");
    const make = await load('state.ts');
    expect(make()[0]).not.toBe(make()[0]);
  });

  it.each([
    ['missing.ts', undefined, 'there is no such file'],
    ['parts', undefined, 'there is no such file'],
    ['broken.ts', 'export default {\n  name: "x" score: 1 };', /broken\.ts:2:13: Expected "}" but found "score"/],
    ['lost.ts', "import './nowhere.js';\nexport default {};", /lost\.ts:1:8: Could not resolve "\.\/nowhere\.js"/],
    ['none.ts', 'export const policy = 1;', 'it has no default export'],
    ['throws.ts', "throw new Error('no licence');", 'it failed when it was loaded: no licence'],
    ['fails.ts', "export default () => { throw new Error('no rack'); };", 'its default export failed: no rack'],
    ['number.ts', 'export default 7;', 'its default export: number, which is no plugin'],
    ['nameless.ts', 'export default { filter() {} };', 'a plugin needs a name'],
    [
      'idle.ts',
      "export default { name: 'Idle', Filter() {} };",
      'plugin "Idle" does nothing; a plugin has one of preEnqueue',
    ],
    ['factories.ts', 'export default [() => ({})];', 'a function, which is no plugin: call it'],
    [
      'events.ts',
      "export default { name: 'E', events: ['Tuesday'], score() {} };",
      'events[0] is "Tuesday"; there are',
    ],
    ['wrong.ts', "export default { name: 'Wrong', score: 5 };", 'plugin "Wrong": score is no function'],
  ])('%s is refused', async (file, text, says) => {
    if (text !== undefined) await writeFile(join(cwd, file), text);
    await expect(load(file)).rejects.toThrow(says);
    await expect(load(file)).rejects.toThrow(`--scheduler-plugin ${file}: `);
  });

  it('leaves nothing behind', async () => {
    const before = process.env['TMPDIR'];
    const own = await mkdtemp(join(cwd, 'tmp-'));
    process.env['TMPDIR'] = own;
    try {
      await load('first.ts');
      await load('throws.ts').catch(() => {});
    } finally {
      if (before === undefined) delete process.env['TMPDIR'];
      else process.env['TMPDIR'] = before;
    }
    expect(await readdir(own)).toEqual([]);
  });
});

describe('with the profile', () => {
  const plugin = (name: string, weight?: number): Plugin => ({
    name,
    ...(weight === undefined ? {} : { weight }),
    filter: () => undefined,
  });
  const flagsOf = (...words: string[]): PluginFlags =>
    pluginOptions(new Command().exitOverride().configureOutput({ writeErr: () => {} }))
      .parse(words, { from: 'user' })
      .opts();

  it('they come after its own, or in the place of one with their name', () => {
    const own = [plugin('B', 7), plugin('D')];
    const all = weightedPlugins(
      ['A', 'B', 'C'].map(name => plugin(name)),
      own,
      {},
    );
    expect(all.map(({ name, weight }) => [name, weight])).toEqual([
      ['A', undefined],
      ['B', 7],
      ['C', undefined],
      ['D', undefined],
    ]);
  });
  it('weights are given by name, to any of them', () => {
    const flags = flagsOf('--scheduler-plugin', 'x.ts', '--scheduler-weight', 'A=0', '--scheduler-weight', 'D=2.5');
    expect(flags.schedulerPlugin).toEqual(['x.ts']);
    const all = weightedPlugins([plugin('A')], [plugin('D')], flags);
    expect(all.map(({ name, weight }) => [name, weight])).toEqual([
      ['A', 0],
      ['D', 2.5],
    ]);
    expect(() => weightedPlugins([plugin('A')], [], flags)).toThrow(
      '--scheduler-weight D: there is no such plugin; there are A',
    );
    expect(() => flagsOf('--scheduler-weight', 'A=-1')).toThrow('give NAME=NUMBER');
  });
});
