/** `orbit simulate FILE`: scheduling policies compared over one workload in virtual time; needs no cluster. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Policy } from '@orbitkit/scheduler/simulator';
import { type Command, InvalidArgumentError } from 'commander';
import { readNamed } from '../files.js';
import { type PluginFlags, pluginOptions } from '../plugin-flags.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface SimulateFlags extends PluginFlags {
  output: string;
  seed?: number;
}

const formats = ['text', 'json', 'html'];

const seedOf = (text: string): number => {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed)) throw new InvalidArgumentError('a seed is a whole number');
  return seed;
};

export function simulateCommand(program: Command, terminal: Terminal): void {
  const command = program
    .command('simulate')
    .description('scheduling policies over a simulated cluster: what each makes of the same pods')
    .argument('<file>', 'a scenario (YAML)')
    .option('-o, --output <format>', 'text, json or html (one page with plots)', 'text')
    .option('--seed <number>', 'instead of the seed of the file', seedOf);
  pluginOptions(command).action(async (file: string, flags: SimulateFlags) => {
    if (!formats.includes(flags.output))
      throw new CommandError(`--output "${flags.output}": one of ${formats.join(', ')}`);
    const path = resolve(terminal.cwd, file);
    const text = await readNamed(terminal, '', file);
    const { parseScenario, reportHtml, reportText, simulate } = await import('@orbitkit/scheduler/simulator');
    const scenario = parseScenario(text, {
      file,
      readFile: trace => readFileSync(resolve(dirname(path), trace), 'utf8'),
    });
    const report = await simulate({
      ...scenario,
      policies: [...scenario.policies, ...(await ownPolicy(flags, terminal))],
      ...(flags.seed === undefined ? {} : { seed: flags.seed }),
      // What is not the same twice does not belong into JSON, which is compared.
      ...(flags.output === 'json' ? {} : { stopwatch: () => performance.now() }),
      signal: terminal.signal,
    });
    const answer =
      flags.output === 'json'
        ? `${JSON.stringify(report, undefined, 2)}\n`
        : flags.output === 'html'
          ? reportHtml(report)
          : reportText(report);
    await write(terminal.stdout, answer);
  });
}

/** One more policy: the default with the files' plugins, beside those of the scenario. */
async function ownPolicy(flags: SimulateFlags, terminal: Terminal): Promise<Policy[]> {
  if (!flags.schedulerPlugin) {
    if (flags.schedulerWeight)
      throw new CommandError("--scheduler-weight: only with --scheduler-plugin; a scenario's policies have `weights`");
    return [];
  }
  const { pluginsFrom, weightedPlugins } = await import('../plugin-files.js');
  const { defaultPlugins } = await import('@orbitkit/scheduler');
  const own = await pluginsFrom(flags.schedulerPlugin, terminal);
  const name = own()
    .map(plugin => plugin.name)
    .join(' + ');
  return [{ name, plugins: () => weightedPlugins(defaultPlugins(), own(), flags) }];
}
