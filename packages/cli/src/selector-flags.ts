/** `-l` and `--field-selector`: judged when the command line is read, so that the error names the flag and no server is asked in vain. */
import { parseFieldSelector, parseLabelSelector } from '@orbitkit/core';
import { InvalidArgumentError, Option } from 'commander';

export interface SelectorFlags {
  selector?: string;
  fieldSelector?: string;
}

const judgedBy =
  (parse: (text: string) => unknown) =>
  (text: string): string => {
    try {
      parse(text);
      return text;
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };

export const labelOption = (description = 'only with these labels: app=web,tier in (a,b)'): Option =>
  new Option('-l, --selector <labels>', description).argParser(judgedBy(parseLabelSelector));

export const fieldOption = (): Option =>
  new Option('--field-selector <fields>', 'only with these fields: metadata.name=x').argParser(
    judgedBy(parseFieldSelector),
  );

/** As the query of a list. */
export const selectorsOf = ({
  selector,
  fieldSelector,
}: SelectorFlags): { labelSelector?: string; fieldSelector?: string } => ({
  ...(selector ? { labelSelector: selector } : {}),
  ...(fieldSelector ? { fieldSelector } : {}),
});
