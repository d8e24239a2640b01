/**
 * `/healthz`, `/livez`, `/readyz`: each a list of named checks, with `?verbose`, `?exclude=name` and a path for each check. Live says that
 * the process answers; ready that it serves what it should (store open, watch cache filled, not stopping). Texts as kube-apiserver's.
 */

import { pageNotFound, textAnswer } from './answers.js';
import type { ApiResponse } from './exchange.js';
import type { Query } from './query.js';

export interface HealthCheck {
  readonly name: string;
  /** Undefined when all is well, else why not. */
  check(): string | undefined;
}

export interface HealthEndpoint {
  /** `livez` */
  readonly name: string;
  readonly checks: readonly HealthCheck[];
}

const run = (check: HealthCheck): string | undefined => {
  try {
    return check.check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

/** @param path what stands behind the endpoint's name: '' or the name of one check. */
export function healthAnswer(endpoint: HealthEndpoint, path: string, query: Query): ApiResponse {
  if (path !== '') {
    const check = endpoint.checks.find(({ name }) => name === path);
    if (!check) return pageNotFound();
    const failure = run(check);
    return failure === undefined ? textAnswer(200, 'ok') : textAnswer(500, `internal server error: ${failure}\n`);
  }
  const excluded = new Set(query.all('exclude'));
  let failed = false;
  let lines = '';
  for (const check of endpoint.checks) {
    if (excluded.has(check.name)) {
      lines += `[+]${check.name} excluded: ok\n`;
      continue;
    }
    const failure = run(check);
    if (failure !== undefined) failed = true;
    lines += failure === undefined ? `[+]${check.name} ok\n` : `[-]${check.name} failed: ${failure}\n`;
  }
  if (failed) return textAnswer(500, `${lines}${endpoint.name} check failed\n`);
  return textAnswer(200, query.has('verbose') ? `${lines}${endpoint.name} check passed\n` : 'ok');
}
