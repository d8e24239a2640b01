/** What a client may ask of a gateway, checked: every error names the field, nothing is created by a bad request. */
import { randomUUID } from 'node:crypto';
import type { Create } from '../protocol/schema.js';

export class RequestError extends Error {}

/** Names that systems and file names can carry: no option of a command line, no path. */
const functionName = /^[A-Za-z0-9]([A-Za-z0-9._/:-]{0,253}[A-Za-z0-9])?$/;
const maxCpuMillis = 1_000_000;
const maxMemoryBytes = 2 ** 46;

function wholeNumber(value: unknown, field: string, max: number): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) throw new RequestError(`${field}: a number is required`);
  if (number < 0) throw new RequestError(`${field}: ${number} is negative`);
  if (number > max) throw new RequestError(`${field}: ${number} is above ${max}`);
  return number;
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string' || value === '') throw new RequestError(`${field}: a text is required`);
  return value;
}

function texts(value: unknown, field: string): string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some(each => typeof each !== 'string'))
    throw new RequestError(`${field}: a list of texts is required`);
  return value;
}

function nameOf(value: unknown, field: string): string {
  const name = text(value, field);
  if (!functionName.test(name) || name.includes('..')) {
    throw new RequestError(
      `${field}: "${name.slice(0, 80)}" is not a name (letters, digits, ". _ - / :", a letter or digit first and last)`,
    );
  }
  return name;
}

const known = new Set(['function', 'image', 'command', 'args', 'env', 'cpuMillis', 'memoryBytes', 'timeoutMs', 'key']);

export interface RequestDefaults {
  /** `Idempotency-Key` of the request. */
  key: string | undefined;
  timeoutMs: number;
  now: number;
}

/** The body of `POST /v1/instances`. @throws RequestError */
export function createOf(body: unknown, defaults: RequestDefaults): Create {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new RequestError('the body: a JSON object is required');
  const fields = body as Record<string, unknown>;
  for (const field of Object.keys(fields)) if (!known.has(field)) throw new RequestError(`${field}: unknown field`);
  const name = nameOf(fields.function, 'function');
  const env = fields.env ?? {};
  if (
    typeof env !== 'object' ||
    Array.isArray(env) ||
    Object.values(env as object).some(value => typeof value !== 'string')
  ) {
    throw new RequestError('env: an object of texts is required');
  }
  const timeoutMs =
    fields.timeoutMs === undefined ? defaults.timeoutMs : wholeNumber(fields.timeoutMs, 'timeoutMs', 600_000);
  const key = fields.key === undefined ? defaults.key : text(fields.key, 'key');
  if (key !== undefined && key.length > 256) throw new RequestError('key: at most 256 characters');
  return {
    key: key ?? randomUUID(),
    attempt: '',
    function: name,
    image: fields.image === undefined ? name : nameOf(fields.image, 'image'),
    command: texts(fields.command, 'command'),
    args: texts(fields.args, 'args'),
    env: env as Record<string, string>,
    cpuMillis: Math.round(
      fields.cpuMillis === undefined ? 0 : wholeNumber(fields.cpuMillis, 'cpuMillis', maxCpuMillis),
    ),
    memoryBytes: Math.round(
      fields.memoryBytes === undefined ? 0 : wholeNumber(fields.memoryBytes, 'memoryBytes', maxMemoryBytes),
    ),
    deadline: defaults.now + timeoutMs,
    system: name.startsWith('galaxy-'),
  };
}

/** The original's `/create?funcName&requireCpu&requireMem`: whole cores and MiB. @throws RequestError */
export function legacyCreateOf(query: URLSearchParams, defaults: RequestDefaults): Create {
  if (!query.get('requireCpu') || !query.get('requireMem')) throw new RequestError('lack cpu and mem value');
  const cpu = wholeNumber(query.get('requireCpu'), 'requireCpu', maxCpuMillis / 1000);
  const memory = wholeNumber(query.get('requireMem'), 'requireMem', maxMemoryBytes / 1024 ** 2);
  return createOf(
    { function: query.get('funcName') ?? '', cpuMillis: cpu * 1000, memoryBytes: memory * 1024 ** 2 },
    defaults,
  );
}
