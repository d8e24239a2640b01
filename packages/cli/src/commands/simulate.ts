/** `orbit simulate FILE`: scheduling policies compared over one workload in virtual time; needs no cluster. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError, type Terminal, write } from '../terminal.js';

interface SimulateFlags {
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
  program
    .command('simulate')
    .description('scheduling policies over a simulated cluster: what each makes of the same pods')
    .argument('<file>', 'a scenario (YAML)')
    .option('-o, --output <format>', 'text, json or html (one page with plots)', 'text')
    .option('--seed <number>', 'instead of the seed of the file', seedOf)
    .action(async (file: string, flags: SimulateFlags) => {
      if (!formats.includes(flags.output))
        throw new CommandError(`--output "${flags.output}": one of ${formats.join(', ')}`);
      const path = resolve(terminal.cwd, file);
      const text = await readFile(path, 'utf8').catch((error: Error) => {
        throw new CommandError(`${file}: ${error.message}`);
      });
      const { parseScenario, reportHtml, reportText, simulate } = await import('@orbitkit/scheduler/simulator');
      const scenario = parseScenario(text, {
        file,
        readFile: trace => readFileSync(resolve(dirname(path), trace), 'utf8'),
      });
      const report = await simulate({
        ...scenario,
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
