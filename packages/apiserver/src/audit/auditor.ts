/**
 * Tells of requests in the form of `audit.k8s.io/v1` Events, one JSON object a line: when a request was received, when a stream began, when
 * it was answered. How much is told is the policy's matter; at Metadata no body is ever looked at.
 *
 * Watching a body costs a second parse of it, for the requests alone whose level asks for bodies.
 */
import type { Readable } from 'node:stream';
import { type Clock, formatMicroTime, type UserInfo } from '@orbitkit/core';
import { readBody } from '../http/body.js';
import type { ApiRequest, ApiResponse, ApiUpgrade } from '../http/exchange.js';
import { isUpgrade } from '../http/exchange.js';
import type { SeenUsers } from '../http/handler.js';
import type { RequestInfo } from '../http/request-info.js';
import { type Applied, type AuditPolicy, appliedTo, type Stage } from './policy.js';

export interface Auditor {
  /** Undefined: the policy is not interested. Called when it is known who asks, whether or not they may. */
  begin(of: AuditedRequest): AuditTrail | undefined;
}

export interface AuditedRequest {
  readonly id: string;
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly seen: SeenUsers;
  /** Milliseconds since 1970. */
  readonly receivedAt: number;
}

export interface AuditTrail {
  /** In the place of the original: its body is watched when the level asks for it. */
  readonly request: ApiRequest;
  /** The answer is there. Streams are complete when the request's signal aborts. */
  answered(answer: ApiResponse | ApiUpgrade): void;
}

/** What larger bodies are told of: their size. */
const largestBody = 1024 * 1024;

export function auditor(policy: AuditPolicy, write: (line: string) => void, clock: Clock): Auditor {
  return {
    begin(of) {
      const applied = appliedTo(policy, of.seen.user, of.info);
      return applied.level === 'None' ? undefined : trail(of, applied);
    },
  };

  function trail(of: AuditedRequest, applied: Applied): AuditTrail {
    const { request, info } = of;
    const withRequest = applied.level === 'Request' || applied.level === 'RequestResponse';
    const watched = withRequest && info.isResource ? new WatchedRequest(request) : undefined;
    let last: Promise<void> = Promise.resolve();

    function tell(stage: Stage, more: () => Promise<object> | object): void {
      if (applied.omitStages.has(stage)) return;
      const stageTimestamp = formatMicroTime(clock.now());
      // In their order, although bodies are read again in between.
      last = last
        .then(more)
        .then(rest => write(JSON.stringify({ ...head(of, applied.level, stage), ...rest, stageTimestamp })))
        .catch(error =>
          write(
            JSON.stringify({
              ...head(of, applied.level, stage),
              stageTimestamp,
              annotations: { 'orbitkit.dev/audit-failed': String(error) },
            }),
          ),
        );
    }

    const requestObject = async (): Promise<object> => {
      if (watched?.body === undefined || watched.body.length === 0) return {};
      return { requestObject: stripped(await bodyOf(watched, watched.body), applied.omitManagedFields) };
    };

    tell('RequestReceived', () => ({}));
    return {
      request: watched ?? request,
      answered(answer) {
        const decision = annotationsOf(of.seen);
        if (isUpgrade(answer) || answer.stream) {
          const code = isUpgrade(answer) ? 101 : answer.status;
          const status = { responseStatus: { metadata: {}, code }, ...decision };
          tell('ResponseStarted', () => status);
          const complete = () => tell('ResponseComplete', async () => ({ ...status, ...(await requestObject()) }));
          if (request.signal.aborted) complete();
          else request.signal.addEventListener('abort', complete, { once: true });
          return;
        }
        tell('ResponseComplete', async () => ({
          responseStatus: statusOf(answer),
          ...(await requestObject()),
          ...(applied.level === 'RequestResponse' ? responseObject(answer, applied.omitManagedFields) : {}),
          ...decision,
        }));
      },
    };
  }
}

function head({ id, request, info, seen, receivedAt }: AuditedRequest, level: string, stage: Stage): object {
  const query = request.query.text;
  const { user, acting } = seen;
  return {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level,
    auditID: id,
    stage,
    requestURI: query === '' ? request.path : `${request.path}?${query}`,
    verb: info.verb,
    user: user === undefined ? {} : shown(user),
    ...(acting !== undefined && acting !== user ? { impersonatedUser: shown(acting) } : {}),
    sourceIPs: [request.remoteAddress],
    ...(request.headers['user-agent'] ? { userAgent: request.headers['user-agent'] } : {}),
    ...(info.isResource ? { objectRef: objectRef(info) } : {}),
    requestReceivedTimestamp: formatMicroTime(receivedAt),
  };
}

const shown = ({ username, uid, groups, extra }: UserInfo) => ({
  username,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra ? { extra } : {}),
});

const objectRef = ({ resource, namespace, name, group, version, subresource }: RequestInfo) => ({
  resource,
  ...(namespace ? { namespace } : {}),
  ...(name ? { name } : {}),
  ...(group ? { apiGroup: group } : {}),
  apiVersion: version,
  ...(subresource ? { subresource } : {}),
});

function annotationsOf({ decision, reason, notes }: SeenUsers): object {
  if (decision === undefined) return notes === undefined ? {} : { annotations: notes };
  return {
    annotations: {
      ...notes,
      'authorization.k8s.io/decision': decision,
      'authorization.k8s.io/reason': reason ?? '',
    },
  };
}

function json(answer: ApiResponse): Record<string, unknown> | undefined {
  if (!Buffer.isBuffer(answer.body) || answer.body.length > largestBody) return undefined;
  if (answer.headers['content-encoding'] !== undefined) return undefined;
  try {
    return JSON.parse(answer.body.toString()) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** Of a failure, also what it says. */
function statusOf(answer: ApiResponse): object {
  const body = answer.status >= 400 ? json(answer) : undefined;
  if (body?.['kind'] !== 'Status') return { metadata: {}, code: answer.status };
  const { status, message, reason } = body;
  return { metadata: {}, status, message, reason, code: answer.status };
}

function responseObject(answer: ApiResponse, omitManagedFields: boolean): object {
  const body = json(answer);
  if (body !== undefined) return { responseObject: stripped(body, omitManagedFields) };
  const bytes = Buffer.isBuffer(answer.body) ? answer.body.length : undefined;
  return { annotations: { 'orbitkit.dev/response': `not shown${bytes === undefined ? '' : `: ${bytes} bytes`}` } };
}

function stripped(value: unknown, omitManagedFields: boolean): unknown {
  if (!omitManagedFields || typeof value !== 'object' || value === null) return value;
  const { metadata, items } = value as { metadata?: { managedFields?: unknown }; items?: unknown[] };
  return {
    ...value,
    ...(metadata ? { metadata: { ...metadata, managedFields: undefined } } : {}),
    ...(Array.isArray(items) ? { items: items.map(item => stripped(item, true)) } : {}),
  };
}

/** The body as a value, whatever form it came in. */
async function bodyOf(request: ApiRequest, bytes: Buffer): Promise<unknown> {
  if (bytes.length > largestBody) return `not shown: ${bytes.length} bytes`;
  try {
    if (/patch/.test(request.headers['content-type'] ?? '')) return JSON.parse(bytes.toString());
    const again = { query: request.query, headers: request.headers, readBody: async () => bytes };
    return (await readBody(again as unknown as ApiRequest)).value;
  } catch {
    return `not shown: ${bytes.length} bytes that could not be read`;
  }
}

/** The request itself, but for a look at its body. */
class WatchedRequest implements ApiRequest {
  body: Buffer | undefined;
  readonly method;
  readonly path;
  readonly query;
  readonly headers;
  readonly upgrade;
  readonly remoteAddress;

  constructor(private readonly of: ApiRequest) {
    this.method = of.method;
    this.path = of.path;
    this.query = of.query;
    this.headers = of.headers;
    this.upgrade = of.upgrade;
    this.remoteAddress = of.remoteAddress;
  }

  get signal(): AbortSignal {
    return this.of.signal;
  }

  abort(reason: unknown): void {
    this.of.abort(reason);
  }

  identify(): Promise<UserInfo> {
    return this.of.identify();
  }

  async readBody(limit: number): Promise<Buffer> {
    this.body = await this.of.readBody(limit);
    return this.body;
  }

  /** What only passes through is no object to tell of. */
  bodyStream(): Readable | undefined {
    return this.of.bodyStream?.();
  }
}
