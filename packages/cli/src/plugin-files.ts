/**
 * Scheduler plugins from files: `--scheduler-plugin ./policy.ts`.
 *
 * A file exports by default a plugin, several, or a function that makes them. TypeScript and JavaScript are bundled when they are loaded, with what they
 * import; types are not checked. `@orbitkit/…` is what this program runs itself, so that a policy and the scheduler speak of the same things. Nothing is
 * left on disk.
 */
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Plugin, pluginProblem } from '@orbitkit/scheduler';
import type { BuildFailure, Plugin as BundlerPlugin } from 'esbuild';
import type { PluginFlags } from './plugin-flags.js';
import { CommandError, type Terminal } from './terminal.js';

/** Makes the plugins anew at each call: they have state, and belong to one scheduler. */
export type PluginSource = () => Plugin[];

/** Loads the files of the options. @throws CommandError that names the file and says what is wrong with it. */
export async function pluginsFrom(files: readonly string[] = [], terminal: Terminal): Promise<PluginSource> {
  const sources: PluginSource[] = [];
  for (const file of files) sources.push(await loaded(file, resolve(terminal.cwd, file)));
  return () => sources.flatMap(make => make());
}

/** The profile's plugins and one's own, with the weights of the flags. @throws CommandError when a weight names no plugin. */
export function weightedPlugins(base: readonly Plugin[], own: readonly Plugin[], flags: PluginFlags): Plugin[] {
  const byName = new Map(own.map(plugin => [plugin.name, plugin]));
  const kept = base.map(plugin => byName.get(plugin.name) ?? plugin);
  const all = [...kept, ...own.filter(plugin => !kept.includes(plugin))];
  const weights = flags.schedulerWeight ?? new Map<string, number>();
  for (const name of weights.keys())
    if (!all.some(plugin => plugin.name === name))
      throw new CommandError(
        `--scheduler-weight ${name}: there is no such plugin; there are ${all.map(plugin => plugin.name).join(', ')}`,
      );
  return all.map(plugin => (weights.has(plugin.name) ? { ...plugin, weight: weights.get(plugin.name)! } : plugin));
}

async function loaded(file: string, path: string): Promise<PluginSource> {
  const refuse = (problem: string): CommandError => new CommandError(`--scheduler-plugin ${file}: ${problem}`);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw refuse('there is no such file');
  const code = await bundle(path).catch(error => {
    throw refuse(problemsOf(error));
  });
  const { default: exported } = await imported(path, code).catch(error => {
    throw refuse(`it failed when it was loaded: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (exported === undefined)
    throw refuse('it has no default export; export a plugin, several, or a function that makes them');
  const make = (): Plugin[] => {
    let made: unknown = exported;
    if (typeof exported === 'function') {
      try {
        made = exported();
      } catch (error) {
        throw refuse(`its default export failed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    const plugins: unknown[] = Array.isArray(made) ? made : [made];
    for (const plugin of plugins) {
      const problem = pluginProblem(plugin, { mustAct: true });
      if (problem) throw refuse(`its default export: ${problem}`);
    }
    return plugins as Plugin[];
  };
  make();
  return make;
}

async function bundle(path: string): Promise<string> {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [path],
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: 'inline',
    write: false,
    logLevel: 'silent',
    plugins: [ownPackages],
  });
  return outputFiles[0]!.text;
}

/** Resolved as this program does it, and not bundled. */
const ownPackages: BundlerPlugin = {
  name: 'own-packages',
  setup({ onResolve }) {
    onResolve({ filter: /^@orbitkit\// }, ({ path }) => ({ path: import.meta.resolve(path), external: true }));
  },
};

async function imported(path: string, code: string): Promise<{ default?: unknown }> {
  const directory = await mkdtemp(join(tmpdir(), 'orbit-plugin-'));
  try {
    const built = join(directory, `${basename(path)}.mjs`);
    await writeFile(built, code, { mode: 0o600 });
    return await import(/* @vite-ignore */ pathToFileURL(built).href);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Of the bundler: where, and what. */
function problemsOf(error: unknown): string {
  const { errors } = error as Partial<BuildFailure>;
  if (!errors?.length) return error instanceof Error ? error.message : String(error);
  return errors
    .map(({ text, location }) =>
      location ? `${location.file}:${location.line}:${location.column + 1}: ${text}` : text,
    )
    .join('\n');
}
