/** Reading what the commands that run things are told. Every error names the option. */
import { resolve } from 'node:path';
import type { LogLevel } from '@orbitkit/core';
import type { ProfileName, RuntimeName } from '../cluster.js';
import { CommandError, type Terminal } from '../terminal.js';

export function hostAndPort(text: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535)
    throw new CommandError(`--listen ${text}: HOST:PORT is required, e.g. 127.0.0.1:6443 (port 0 takes any free one)`);
  return { host: match[1] ?? (match[2] || '127.0.0.1'), port };
}

export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least || number > most)
    throw new CommandError(`${option} ${text}: a whole number from ${least} to ${most}`);
  return number;
}

export function seconds(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new CommandError(`${option} ${text}: a number of seconds above 0`);
  return number;
}

function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  if (!known.includes(text as T)) throw new CommandError(`${option} ${text}: one of ${known.join(', ')}`);
  return text as T;
}
export const runtimeName = (text: string): RuntimeName => oneOf('--runtime', text, ['process', 'docker']);
export const logLevel = (text: string): LogLevel => oneOf('--log-level', text, ['debug', 'info', 'warn', 'error']);
export const profileName = (text: string): ProfileName => oneOf('--profile', text, ['default', 'minik8s']);

export const pathIn = ({ cwd }: Terminal, path: string): string => resolve(cwd, path);
