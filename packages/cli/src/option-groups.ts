/** Headings of long help texts. What is added after a group stands under the common heading again. */
import type { Command } from 'commander';

export const groupOf = (command: Command, heading: string, add: (command: Command) => Command): Command =>
  add(command.optionsGroup(heading)).optionsGroup('Options:');
