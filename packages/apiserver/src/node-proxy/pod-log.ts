/**
 * `pods/log`: the agent's text, passed on as it comes. Errors before the first byte are a Status. A pod that has no node yet has an
 * empty log, as in Kubernetes.
 */
import { type DynamicObject, type FieldError, invalid, StatusError } from '@orbitkit/core';
import { textAnswer } from '../http/answers.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';
import type { Query } from '../http/query.js';
import type { Backend } from './backend.js';
import { requestBackend } from './backend-request.js';

export interface PodLogCall {
  readonly request: ApiRequest;
  readonly pod: DynamicObject;
  readonly container: string;
  readonly agent: () => Promise<Backend>;
}

/** @throws StatusError Invalid */
function logParams(query: Query): URLSearchParams {
  const params = new URLSearchParams();
  const errors: FieldError[] = [];
  const wrong = (field: string, value: string, rule: string) =>
    errors.push({ field, type: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${rule}` });
  const number = (field: string, least: number) => {
    const text = query.get(field);
    if (text === undefined) return;
    if (!/^-?\d{1,15}$/.test(text) || Number(text) < least)
      wrong(field, text, `must be a whole number, at least ${least}`);
    else params.set(field, text);
  };
  number('tailLines', 0);
  number('sinceSeconds', 1);
  number('limitBytes', 1);
  const sinceTime = query.get('sinceTime');
  if (sinceTime !== undefined) {
    if (Number.isNaN(Date.parse(sinceTime))) wrong('sinceTime', sinceTime, 'must be an RFC 3339 time');
    else if (params.has('sinceSeconds'))
      errors.push({
        field: 'sinceTime',
        type: 'FieldValueForbidden',
        message: 'Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified',
      });
    else params.set('sinceTime', sinceTime);
  }
  for (const flag of ['follow', 'timestamps', 'previous']) if (query.flag(flag)) params.set(flag, 'true');
  if (errors.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, '', errors);
  return params;
}

/** Longest message that is taken over from a failing agent. */
const errorBytes = 16 * 1024;

export async function podLog({ request, pod, container, agent }: PodLogCall): Promise<ApiResponse> {
  const params = logParams(request.query);
  if (!pod['spec']?.nodeName) return textAnswer(200, '');
  const { namespace, name } = pod.metadata;
  const path = `/containerLogs/${encodeURIComponent(namespace!)}/${encodeURIComponent(name)}/${encodeURIComponent(container)}`;
  const query = params.size > 0 ? `?${params}` : '';
  const answer = await requestBackend(await agent(), {
    method: 'GET',
    path: path + query,
    signal: request.signal,
    headersTimeoutMs: 30_000,
  });
  if (answer.status !== 200)
    throw await failureOf(answer.status, answer.body, `the log of container ${container} in pod ${name}`);
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: answer.body, stream: true };
}

const reasons: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'InternalError',
  403: 'InternalError',
  404: 'NotFound',
  503: 'ServiceUnavailable',
  504: 'Timeout',
};

/** What a backend's own error becomes: a Status passes as it is, text becomes its message. */
export async function failureOf(status: number, body: AsyncIterable<Buffer>, what: string): Promise<StatusError> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of body) {
    parts.push(part);
    size += part.length;
    if (size >= errorBytes) break;
  }
  const text = Buffer.concat(parts).toString().slice(0, errorBytes).trim();
  try {
    const parsed = JSON.parse(text);
    if (parsed?.kind === 'Status') return StatusError.fromStatus(parsed, status);
  } catch {
    // Not JSON: text it is.
  }
  const reason = reasons[status] ?? 'InternalError';
  const refused = status === 401 || status === 403 ? `the agent refused the API server's client certificate: ` : '';
  return new StatusError(reason, refused + (text || `${what}: the agent answered ${status}`));
}
