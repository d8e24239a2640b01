/** How objects are shown: the server's Table as text, or the objects themselves. */
import { CommandError } from './terminal.js';

export type OutputForm = 'table' | 'wide' | 'yaml' | 'json' | 'name';

export function outputForm(value: string | undefined): OutputForm {
  if (value === undefined) return 'table';
  if (value === 'wide' || value === 'yaml' || value === 'json' || value === 'name') return value;
  throw new CommandError(`-o ${value}: not known here; there are wide, yaml, json and name`);
}

/** As kubectl: what the machinery keeps for itself is not shown. */
export function shown<T extends { metadata?: { managedFields?: unknown } }>(object: T): T {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _hidden, ...metadata } = object.metadata;
  return { ...object, metadata };
}

export async function objectText(value: object, form: 'yaml' | 'json'): Promise<string> {
  if (form === 'json') return `${JSON.stringify(value, null, 4)}\n`;
  const { stringify } = await import('yaml');
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}
