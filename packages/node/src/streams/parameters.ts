/** Reads the query of a stream request. The kubelet's own short names (`input`, `output`, `error`) are understood as well. */
import { badRequest } from '@orbitkit/core';
import type { ContainerLogOptions } from './container-log.js';
import type { StreamRequest } from './remote-streams.js';

/** `1`, `true` or the bare name. */
const flag = (query: URLSearchParams, ...names: string[]): boolean =>
  names.some(name => ['1', 'true', ''].includes(query.get(name) ?? 'false'));

/** @throws StatusError BadRequest */
function whole(query: URLSearchParams, name: string, least: number): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^\d{1,15}$/.test(text) || Number(text) < least)
    throw badRequest(`${name} must be a whole number, at least ${least}`);
  return Number(text);
}

/** @throws StatusError BadRequest */
export function logOptionsOf(query: URLSearchParams, now: number): ContainerLogOptions & { previous: boolean } {
  const tailLines = whole(query, 'tailLines', 0);
  const limitBytes = whole(query, 'limitBytes', 1);
  const sinceSeconds = whole(query, 'sinceSeconds', 1);
  const sinceTime = query.get('sinceTime');
  if (sinceTime && Number.isNaN(Date.parse(sinceTime))) throw badRequest('sinceTime must be an RFC 3339 time');
  const sinceMs = sinceTime
    ? Date.parse(sinceTime)
    : sinceSeconds === undefined
      ? undefined
      : now - sinceSeconds * 1000;
  const stream = query.get('stream')?.toLowerCase();
  return {
    previous: flag(query, 'previous'),
    follow: flag(query, 'follow'),
    timestamps: flag(query, 'timestamps'),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(stream === 'stdout' || stream === 'stderr' ? { stream } : {}),
  };
}

/** @throws StatusError BadRequest when no stream is asked for. */
export function streamRequestOf(query: URLSearchParams): StreamRequest {
  const asked = {
    stdin: flag(query, 'stdin', 'input'),
    stdout: flag(query, 'stdout', 'output'),
    stderr: flag(query, 'stderr', 'error'),
    tty: flag(query, 'tty'),
  };
  if (!asked.stdin && !asked.stdout && !asked.stderr)
    throw badRequest('you must specify at least one of stdin, stdout, stderr');
  return asked;
}

/** @throws StatusError BadRequest */
export function portsOf(query: URLSearchParams): number[] {
  const texts = [...query.getAll('ports'), ...query.getAll('port')].flatMap(text => text.split(','));
  const ports = texts.map(Number);
  if (ports.length === 0) throw badRequest('query parameter "ports" is required');
  // Channels are numbered in one byte, two for each port, and 255 is taken.
  if (ports.length > 100) throw badRequest('at most 100 ports can be forwarded over one connection');
  for (const [index, port] of ports.entries()) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw badRequest(`${JSON.stringify(texts[index])} is not a port`);
  }
  return ports;
}
