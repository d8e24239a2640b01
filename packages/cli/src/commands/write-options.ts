/** What the flags of commands that write mean, and what such a command says of each object. */
import type { DynamicObject, FieldValidation } from '@orbitkit/core';
import { CommandError, type Terminal } from '../terminal.js';

export interface WriteOptions {
  fieldManager: string;
  fieldValidation: FieldValidation;
  signal: AbortSignal;
  dryRun?: boolean;
}

const validations = { strict: 'Strict', true: 'Strict', warn: 'Warn', ignore: 'Ignore', false: 'Ignore' } as const;

/** @throws CommandError that names the flag. */
export function writeOptions(
  flags: { dryRun?: string; validate?: string; fieldManager?: string },
  terminal: Terminal,
): WriteOptions {
  if (flags.dryRun !== undefined && flags.dryRun !== 'server')
    throw new CommandError(`--dry-run ${flags.dryRun}: only "server" is known here`);
  const fieldValidation = validations[(flags.validate ?? 'strict') as keyof typeof validations];
  if (!fieldValidation) throw new CommandError(`--validate ${flags.validate}: strict, warn or ignore`);
  return {
    fieldManager: flags.fieldManager ?? 'orbit',
    fieldValidation,
    signal: terminal.signal,
    ...(flags.dryRun ? { dryRun: true } : {}),
  };
}

/** What became of one object: `name` is the one that is printed. */
export interface Applied {
  /** `deployment.apps/web`. */
  name: string;
  verb: 'created' | 'configured' | 'unchanged' | 'serverside-applied';
  object: DynamicObject;
}
