/**
 * The one way through the server: every request, from whichever door, is read, identified, authorised, routed, answered and counted
 * here. `handle` never rejects: failures are a `Status`.
 *
 * Bounds: a request that is not a stream is answered within `requestTimeoutMs` (504 after that; a write that was under way is finished
 * all the same). Streams (watch, log, exec, proxy) end with their request's signal. Every answer carries the request's id (`audit-id`,
 * the client's own when it sent one), which is in the server's log as well.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, isStatusError, type Logger, type Metrics, StatusError, type UserInfo } from '@orbitkit/core';
import type { Auditor, AuditTrail } from '../audit/auditor.js';
import type { Admission, FlowControl } from '../fairness/index.js';
import type { NodeProxy } from '../node-proxy/node-proxy.js';
import type { RequestContext } from '../registry/contract.js';
import { errorAnswer, methodNotAllowed, pageNotFound, resourceNotFound } from './answers.js';
import { compressed, isCompressible } from './compression.js';
import type { ApiHandler, ApiRequest, ApiResponse, ApiUpgrade } from './exchange.js';
import { isUpgrade } from './exchange.js';
import type { NonResourceRoutes } from './non-resource-routes.js';
import { type RequestInfo, requestInfoOf } from './request-info.js';
import { requireModestTarget, StreamBounds } from './request-limits.js';
import { type RequestMetrics, requestMetrics } from './request-metrics.js';
import type { ResourceRoutes } from './resource-routes.js';
import type { ServedKinds } from './served-kinds.js';

/** Who was recognised on the way of a request, also when it is refused: for the audit trail. */
export interface SeenUsers {
  /** By its credentials. */
  user: UserInfo | undefined;
  /** Whom it acts as: another one when it impersonates. */
  acting: UserInfo | undefined;
  /** What authorization said, as far as it was asked. */
  decision?: 'allow' | 'forbid';
  reason?: string;
  /** What admission notes, by key. */
  notes?: Record<string, string>;
}

/** Says who the request acts as and whether it may. @throws StatusError Unauthorized, Forbidden */
export type AccessCheck = (request: ApiRequest, info: RequestInfo, seen?: SeenUsers) => Promise<UserInfo>;

export interface HandlerOptions {
  readonly kinds: () => ServedKinds;
  readonly access: AccessCheck;
  readonly resources: ResourceRoutes;
  readonly nonResources: NonResourceRoutes;
  readonly nodeProxy: NodeProxy;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Default 60 s (kube-apiserver's). */
  readonly requestTimeoutMs?: number;
  /** After each request: for an audit trail. Must not throw. */
  readonly audit?: (record: RequestRecord) => void;
  /** Tells of requests by a policy, with who asked and what was said. */
  readonly auditor?: Auditor | undefined;
  /** Lets requests in, now or when it is their turn. Absent: all at once. */
  readonly flowControl?: Pick<FlowControl, 'admit'> | undefined;
}

/** What an audit trail needs of one request. */
export interface RequestRecord {
  readonly id: string;
  readonly info: RequestInfo | undefined;
  readonly user: UserInfo | undefined;
  readonly method: string;
  readonly userAgent: string | undefined;
  readonly remoteAddress: string;
  readonly code: number;
  /** Milliseconds until the answer's headers. */
  readonly durationMs: number;
}

/** Longest text of one Warning header, and of all of them (apiserver `warning` truncates at 4 KiB in sum). */
const warningBytes = 4096;

/** Sends text as a header: no control characters, latin1 only, quotes escaped. */
function warningHeaders(warnings: ReadonlySet<string>): string[] {
  const headers: string[] = [];
  let left = warningBytes;
  for (const text of warnings) {
    const printable = text.replace(/[^\x20-\x7e]/g, '?').slice(0, left);
    if (printable.length === 0) break;
    left -= printable.length;
    headers.push(`299 - "${printable.replace(/[\\"]/g, '\\$&')}"`);
  }
  return headers;
}

const streamingSubresources = new Set(['log', 'exec', 'attach', 'portforward', 'proxy']);
const isStream = (info: RequestInfo) =>
  info.verb === 'watch' || (info.subresource !== undefined && streamingSubresources.has(info.subresource));

/** Go's duration, as far as clients send it: `32s`, `1m30s`, `500ms`. */
function durationMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const unit: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
  let total = 0;
  let rest = text;
  while (rest !== '') {
    const match = /^(\d+(?:\.\d+)?)(h|ms|m|s)/.exec(rest);
    if (!match) return undefined;
    total += Number(match[1]) * unit[match[2]!]!;
    rest = rest.slice(match[0].length);
  }
  return total > 0 ? total : undefined;
}

/** What metrics may be labelled with: names that are served, never whatever a client puts into a path. */
function countable(served: ServedKinds, info: RequestInfo): RequestInfo {
  const kind = served.find(info.group, info.version, info.resource);
  if (!kind) {
    if (info.resource === '' && !info.isResource) return info;
    return { ...info, group: '', version: '', resource: '', subresource: undefined, isResource: false };
  }
  if (info.subresource === undefined || kind.subresources.some(({ name }) => name === info.subresource)) return info;
  return { ...info, subresource: undefined };
}

export function apiHandler(options: HandlerOptions): ApiHandler {
  const { kinds, access, auditor, resources, nonResources, nodeProxy, clock, log, flowControl } = options;
  const counters: RequestMetrics = requestMetrics(options.metrics);
  const longest = options.requestTimeoutMs ?? 60_000;
  const streams = new StreamBounds();

  function route(request: ApiRequest, info: RequestInfo, context: RequestContext): Promise<ApiResponse | ApiUpgrade> {
    if (!info.isResource) return nonResources.answer(request);
    const served = kinds();
    const groupVersion = served.groupVersion(info.group, info.version);
    if (!groupVersion) return Promise.resolve(pageNotFound());
    const kind = groupVersion.resources.get(info.resource);
    if (!kind) throw resourceNotFound();
    if (info.namespace !== undefined && !kind.namespaced && info.resource !== 'namespaces') throw resourceNotFound();
    if (
      info.namespace === undefined &&
      kind.namespaced &&
      info.name !== undefined &&
      info.verb !== 'list' &&
      info.verb !== 'watch' &&
      info.verb !== 'deletecollection'
    )
      throw resourceNotFound();
    if (info.subresource !== undefined && streamingSubresources.has(info.subresource)) {
      const described = kind.subresources.find(({ name }) => name === info.subresource);
      if (!described) throw resourceNotFound();
      if (!described.verbs.includes(info.verb)) throw methodNotAllowed();
      return nodeProxy.answer({ request, info, kind, context });
    }
    const watched = counters.watched(info);
    return resources.answer({ request, info, kind, context, watched });
  }

  /** The work bounded in time. The request's signal aborts at the bound, so that what waits for the answer stops waiting. */
  function bounded(request: ApiRequest, info: RequestInfo, context: RequestContext): Promise<ApiResponse | ApiUpgrade> {
    const work = route(request, info, context);
    if (isStream(info)) return work;
    const limit = Math.min(durationMs(request.query.get('timeout')) ?? longest, longest);
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(limit, () => {
        const error = new StatusError(
          'Timeout',
          `the request did not complete within the allotted timeout of ${limit / 1000} s`,
        );
        reject(error);
        // The answer goes first.
        setImmediate(() => request.abort(error));
      });
      work.then(
        answer => {
          timer.cancel();
          resolve(answer);
        },
        error => {
          timer.cancel();
          reject(error);
        },
      );
    });
  }

  /** A patch may turn out to be a create, which needs the right to create (apiserver `withAuthorization`). */
  function createCheck(request: ApiRequest, info: RequestInfo): (() => Promise<void>) | undefined {
    if (info.verb !== 'patch') return undefined;
    return async () => void (await access(request, { ...info, verb: 'create' }));
  }

  return {
    async handle(request) {
      const started = clock.now();
      const id = requestId(request);
      let info: RequestInfo | undefined;
      let counted: RequestInfo | undefined;
      let user: UserInfo | undefined;
      let warnings: Set<string> | undefined;
      let answer: ApiResponse | ApiUpgrade;
      let done: (() => void) | undefined;
      const seen: SeenUsers | undefined = auditor && { user: undefined, acting: undefined };
      let trail: AuditTrail | undefined;
      /** Before it was compressed. */
      let told: ApiResponse | ApiUpgrade | undefined;
      let admitted: Admission | undefined;
      let closeStream: (() => void) | undefined;
      try {
        requireModestTarget(request);
        info = requestInfoOf(request.method, request.path, request.query);
        counted = countable(kinds(), info);
        if (isStream(info)) done = counters.opened(counted);
        user = await access(request, info, seen);
        trail = seen && auditor?.begin({ id, request, info, seen, receivedAt: started });
        if (isStream(info)) closeStream = streams.open(user.username);
        const admission = flowControl?.admit(request, info, user);
        admitted = admission instanceof Promise ? await admission : admission;
        const warn = (text: string) => {
          warnings ??= new Set();
          warnings.add(text);
        };
        const mayCreate = createCheck(request, info);
        answer = await bounded(trail?.request ?? request, info, {
          user,
          signal: request.signal,
          warn,
          ...(seen === undefined ? {} : { annotate: (key, value) => noted(seen, key, value) }),
          ...(mayCreate === undefined ? {} : { mayCreate }),
        });
        told = answer;
        if (!isUpgrade(answer) && isCompressible(answer))
          answer = await compressed(answer, request.headers['accept-encoding']);
      } catch (error) {
        told = undefined;
        answer =
          request.signal.aborted && !isStatusError(error)
            ? errorAnswer(clientGone(), id, log)
            : errorAnswer(error, id, log);
      }
      // Who was refused at the door is told of as well.
      if (seen !== undefined && user === undefined && info !== undefined)
        trail = auditor?.begin({ id, request, info, seen, receivedAt: started });
      trail?.answered(told ?? answer);
      const durationMs = clock.now() - started;
      const code = isUpgrade(answer) ? 101 : answer.status;
      counters.finished(request.method, counted, code, durationMs);
      options.audit?.({
        id,
        info,
        user,
        code,
        durationMs,
        method: request.method,
        userAgent: request.headers['user-agent'],
        remoteAddress: request.remoteAddress,
      });
      if (isUpgrade(answer)) {
        admitted?.end();
        if (closeStream !== undefined) whenEnded(request, answer, closeStream);
        return whenEnded(request, answer, done);
      }
      if (admitted !== undefined) {
        answer.headers['x-kubernetes-pf-flowschema-uid'] = admitted.schemaUid;
        answer.headers['x-kubernetes-pf-prioritylevel-uid'] = admitted.levelUid;
        // A large answer takes its seats until the client has it: so many of them can be in memory. A stream has begun.
        if (Buffer.isBuffer(answer.body) && answer.body.length > largeAnswerBytes)
          answer = inOnePiece(answer, answer.body);
        if (answer.stream) admitted.end();
        else whenSent(request, answer, admitted.end);
      }
      if (closeStream !== undefined) whenSent(request, answer, closeStream);
      if (done !== undefined) whenSent(request, answer, done);
      answer.headers['audit-id'] = id;
      answer.headers['cache-control'] ??= 'no-cache, private';
      if (warnings !== undefined) answer.headers['warning'] = warningHeaders(warnings);
      return answer;
    },
  };
}

const largeAnswerBytes = 64 * 1024;

/** As a body in pieces, which doors follow until it was taken. */
function inOnePiece(answer: ApiResponse, bytes: Buffer): ApiResponse {
  async function* pieces(): AsyncGenerator<Buffer> {
    yield bytes;
  }
  const headers = { ...answer.headers, 'content-length': String(bytes.length) };
  return { ...answer, headers, body: pieces() };
}

/** A stream counts as open until its request's signal aborts, which doors do in every case. */
function whenEnded<T>(request: ApiRequest, answer: T, done: (() => void) | undefined): T {
  if (request.signal.aborted) done?.();
  else if (done) request.signal.addEventListener('abort', done, { once: true });
  return answer;
}

/** The same for any answer; a whole one is as good as sent. */
function whenSent(request: ApiRequest, answer: ApiResponse, done: () => void): void {
  if (Buffer.isBuffer(answer.body)) done();
  else whenEnded(request, answer, done);
}

function noted(seen: SeenUsers, key: string, value: string): void {
  seen.notes ??= {};
  seen.notes[key] = value;
}

/** Nobody reads this answer; 499 stands in the metrics and the audit trail. */
const clientGone = () =>
  new StatusError('ClientClosedRequest', 'the client went away before the answer', { code: 499 });

function requestId(request: ApiRequest): string {
  const given = request.headers['audit-id'];
  return given !== undefined && /^[\w-]{1,64}$/.test(given) ? given : randomUUID();
}
