/**
 * The other side of kube's extender protocol: what an HTTP server needs to answer a real kube-scheduler.
 *
 * ```ts
 * createServer(extenderServer({ prioritize: ({ nodeNames }) => Object.fromEntries(nodeNames.map(name => [name, 5])) })).listen(8888);
 * ```
 *
 * - `POST …/filter`, `…/prioritize`, `…/preempt`, `…/bind` for the verbs that are given, under any prefix; `GET …/healthz`.
 * - Both spellings are read; answers come in the spelling of the request. Nodes are answered as they were asked: whole, or by name.
 * - What a verb throws is the protocol's `Error` with 200 for filter and bind, and 500 with the text for the others, which have none.
 * - A body beyond the limit is 413, one that is not what the protocol says 400 with the field. It holds nothing and ends with its server.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Node, Pod } from '@orbitkit/core';
import {
  type ExtenderFilterResult,
  type HostPriority,
  type MetaVictims,
  maxExtenderPriority,
  readNodes,
  readPod,
  readText,
  readTexts,
  readVictims,
  spellingOf,
  WireError,
  write,
} from './wire.js';

/** Which pod, and which nodes are left. */
export interface ExtenderQuestion {
  readonly pod: Pod;
  readonly nodeNames: readonly string[];
  /** Undefined when the scheduler sends names alone (`nodeCacheCapable`). */
  readonly nodes?: readonly Node[];
}

/** Which nodes can take the pod. */
export interface ExtenderFilterReply {
  /** Names of nodes that can take the pod; only of those that were asked about. */
  readonly nodes: Iterable<string>;
  /** Why others cannot. */
  readonly failed?: Readonly<Record<string, string>>;
  /** The same, where preemption would not help. */
  readonly unresolvable?: Readonly<Record<string, string>>;
}

/** Which pod is to be bound where. */
export interface ExtenderBindQuestion {
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUid: string;
  readonly node: string;
}

/** The pods that would end on one node. */
export interface ExtenderVictims {
  /** UIDs of the pods that would end. */
  readonly uids: readonly string[];
  /** The pods, when the scheduler sends them (not `nodeCacheCapable`). */
  readonly pods?: readonly Pod[];
  /** Disruption budgets that would be broken. */
  readonly violations: number;
}

/** Which pods would end where, by node name. */
export interface ExtenderPreemptQuestion {
  readonly pod: Pod;
  readonly victims: ReadonlyMap<string, ExtenderVictims>;
}

type Answer<T> = T | Promise<T>;

/** A verb that throws is answered with its message; the scheduler then does as its configuration says. */
export interface ExtenderVerbs {
  filter?(question: ExtenderQuestion): Answer<ExtenderFilterReply>;
  /** 0 (worst) to 10, by node name; rounded. Nodes that are left out get 0. */
  prioritize?(question: ExtenderQuestion): Answer<Readonly<Record<string, number>> | ReadonlyMap<string, number>>;
  /** Creates the Binding, or throws. */
  bind?(question: ExtenderBindQuestion): Answer<void>;
  /** The nodes that remain, each with the pods that end there. */
  preempt?(
    question: ExtenderPreemptQuestion,
  ): Answer<ReadonlyMap<string, Pick<ExtenderVictims, 'uids' | 'violations'>>>;
}

/** The verbs that are served, and their bound. */
export interface ExtenderServerOptions extends ExtenderVerbs {
  /** Largest body in bytes. Default 64 MiB: five thousand whole nodes. */
  bodyLimit?: number;
}

/** For `http.createServer`. */
export type ExtenderHandler = (request: IncomingMessage, response: ServerResponse) => void;

class TooLarge extends Error {}

/** A handler of requests. @throws Error when no verb is given. */
export function extenderServer(options: ExtenderServerOptions): ExtenderHandler {
  const { bodyLimit = 64 * 1024 * 1024 } = options;
  const verbs: Partial<Record<string, (body: object) => Promise<object>>> = {
    ...(options.filter ? { filter: body => filter(options.filter!, body) } : {}),
    ...(options.prioritize ? { prioritize: body => prioritize(options.prioritize!, body) } : {}),
    ...(options.bind ? { bind: body => bind(options.bind!, body) } : {}),
    ...(options.preempt ? { preempt: body => preempt(options.preempt!, body) } : {}),
  };
  const offered = Object.keys(verbs).join(', ');
  if (!offered) throw new Error('verbs: give at least one of filter, prioritize, preempt and bind');

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://extender');
    const verb = pathname.slice(pathname.lastIndexOf('/') + 1);
    if (verb === 'healthz' && request.method === 'GET') return send(response, 200, 'ok', 'text/plain');
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (!run) return refuse(response, 404, `there is no verb "${verb}" here; this extender has ${offered}`);
    if (request.method !== 'POST') return refuse(response, 405, `${verb} takes POST, not ${request.method}`);
    const body = parse(await bodyOf(request, bodyLimit));
    send(response, 200, write(await run(body), spellingOf(body)), 'application/json');
  }

  return (request, response) => {
    answer(request, response).catch(error => {
      if (response.headersSent || response.destroyed) return response.destroy();
      const code = error instanceof TooLarge ? 413 : error instanceof WireError ? 400 : 500;
      refuse(response, code, error instanceof Error ? error.message : String(error));
    });
  };
}

async function filter(decide: NonNullable<ExtenderVerbs['filter']>, body: object): Promise<ExtenderFilterResult> {
  const question = questionOf(body);
  const { nodes } = question;
  try {
    const reply = await decide(question);
    const kept = new Set(reply.nodes);
    return {
      Nodes: nodes ? { metadata: {}, items: nodes.filter(each => kept.has(each.metadata.name)) } : null,
      NodeNames: nodes ? null : question.nodeNames.filter(name => kept.has(name)),
      FailedNodes: reply.failed ?? null,
      FailedAndUnresolvableNodes: reply.unresolvable ?? null,
      Error: '',
    };
  } catch (error) {
    return {
      Nodes: null,
      NodeNames: null,
      FailedNodes: null,
      FailedAndUnresolvableNodes: null,
      Error: textOf(error),
    };
  }
}

async function prioritize(rate: NonNullable<ExtenderVerbs['prioritize']>, body: object): Promise<HostPriority[]> {
  const question = questionOf(body);
  const given = await rate(question);
  const scores = given instanceof Map ? (given as ReadonlyMap<string, number>) : new Map(Object.entries(given));
  return question.nodeNames.map(name => {
    const score = scores.get(name) ?? 0;
    if (!(score >= 0 && score <= maxExtenderPriority))
      throw new Error(`prioritize: "${name}" has score ${score}; an extender's scores are 0 to ${maxExtenderPriority}`);
    return { Host: name, Score: Math.round(score) };
  });
}

async function bind(act: NonNullable<ExtenderVerbs['bind']>, body: object): Promise<{ Error: string }> {
  const question = {
    podName: readText(body, 'PodName'),
    podNamespace: readText(body, 'PodNamespace'),
    podUid: readText(body, 'PodUID'),
    node: readText(body, 'Node'),
  };
  if (!question.podName || !question.node) throw new WireError('PodName and Node must be given');
  try {
    await act(question);
    return { Error: '' };
  } catch (error) {
    return { Error: textOf(error) };
  }
}

async function preempt(
  choose: NonNullable<ExtenderVerbs['preempt']>,
  body: object,
): Promise<{ NodeNameToMetaVictims: Record<string, MetaVictims> }> {
  const whole = readVictims(body, 'NodeNameToVictims');
  const meta = readVictims(body, 'NodeNameToMetaVictims');
  const victims = new Map<string, ExtenderVictims>();
  for (const [node, { pods, violations }] of whole ?? []) {
    const read = pods.map((_, i) => readPod(pods, String(i)));
    victims.set(node, { uids: read.map(each => each.metadata.uid), pods: read, violations });
  }
  if (!whole)
    for (const [node, { pods, violations }] of meta ?? [])
      victims.set(node, { uids: pods.map(each => readText(each, 'UID')), violations });
  const left = await choose({ pod: readPod(body, 'Pod'), victims });
  return {
    NodeNameToMetaVictims: Object.fromEntries(
      [...left].map(([node, { uids, violations }]) => [
        node,
        { Pods: uids.map(uid => ({ UID: uid })), NumPDBViolations: violations },
      ]),
    ),
  };
}

function questionOf(body: object): ExtenderQuestion {
  const pod = readPod(body, 'Pod');
  const nodes = readNodes(body, 'Nodes');
  if (nodes) return { pod, nodes, nodeNames: nodes.map(each => each.metadata.name) };
  const nodeNames = readTexts(body, 'NodeNames');
  if (!nodeNames) throw new WireError('one of Nodes and NodeNames must be given');
  return { pod, nodeNames };
}

async function bodyOf(request: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    // Read to its end without being kept, so that the answer is seen.
    if (size <= limit) chunks.push(chunk);
    else if (size > 2 * limit) break;
  }
  if (size > limit) throw new TooLarge(`the body is larger than ${limit} bytes`);
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): object {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new WireError(`the body is not JSON: ${textOf(error)}`);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new WireError('the body must be an object');
  return body;
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)) || 'failed';

const refuse = (response: ServerResponse, code: number, message: string): void =>
  send(response, code, `${message}\n`, 'text/plain; charset=utf-8');

function send(response: ServerResponse, code: number, text: string, type: string): void {
  response.writeHead(code, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
