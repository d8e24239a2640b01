/** Options of the commands that take scheduler plugins from files. */
import { type Command, InvalidArgumentError } from 'commander';
import { groupOf } from './option-groups.js';

export interface PluginFlags {
  schedulerPlugin?: readonly string[];
  schedulerWeight?: ReadonlyMap<string, number>;
}

export function pluginOptions(command: Command): Command {
  return groupOf(command, 'Plugins of the scheduler:', grouped =>
    grouped
      .option(
        '--scheduler-plugin <file>',
        'a plugin of your own (TypeScript or JavaScript), after those of the profile or in the place of the one with its name; may be repeated',
        (file: string, before: readonly string[] = []) => [...before, file],
      )
      .option('--scheduler-weight <plugin=number>', 'weight of a plugin by its name; may be repeated', weightOf),
  );
}

function weightOf(text: string, before: ReadonlyMap<string, number> = new Map()): ReadonlyMap<string, number> {
  const [, name, number] = /^([^=]+)=(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (!name) throw new InvalidArgumentError('give NAME=NUMBER, such as NodeResourcesFit=0');
  return new Map(before).set(name, Number(number));
}
