/**
 * One extender over HTTP: kube's protocol as kube-scheduler's HTTPExtender speaks it.
 *
 * Calls are bounded by `httpTimeout`, answers by 64 MiB; anything but 200 is an error. What it answers is checked: nodes it was not asked about, and victims that
 * are not on their node, are errors. Errors say which extender; whether they may be ignored is for the caller (extenders.ts).
 */
import { type Clock, httpTransport, type Node, type Pod, type Transport } from '@orbitkit/core';
import type { NodeInfo } from '../snapshot/node-info.js';
import { type ExtenderConfig, timeoutMsOf } from './config.js';
import {
  type ExtenderArgs,
  type ExtenderBindingArgs,
  type ExtenderPreemptionArgs,
  read,
  readMap,
  readNodes,
  readText,
  readTexts,
  readVictims,
  write,
} from './wire.js';

export interface ExtenderFilterAnswer {
  readonly nodes: readonly string[];
  readonly failed: Readonly<Record<string, string>>;
  readonly unresolvable: Readonly<Record<string, string>>;
}

/** The pods that would have to end on a node. */
export interface ExtenderCandidate {
  readonly node: string;
  readonly victims: readonly Pod[];
  readonly broken: number;
}

export interface HttpExtender {
  readonly config: ExtenderConfig;
  interested(pod: Pod): boolean;
  filter(pod: Pod, nodes: readonly NodeInfo[], signal: AbortSignal): Promise<ExtenderFilterAnswer>;
  /** 0…10 by node. */
  prioritize(pod: Pod, nodes: readonly NodeInfo[], signal: AbortSignal): Promise<ReadonlyMap<string, number>>;
  bind(pod: Pod, node: string, signal: AbortSignal): Promise<void>;
  preempt(pod: Pod, candidates: readonly ExtenderCandidate[], signal: AbortSignal): Promise<ExtenderCandidate[]>;
  close(): Promise<void>;
}

const largestAnswer = 64 * 1024 * 1024;

export function httpExtender(config: ExtenderConfig, clock: Clock): HttpExtender {
  const transport = transportOf(config, clock);
  const timeoutMs = timeoutMsOf(config);
  const spelling = config.spelling ?? 'current';
  const managed = new Set(config.managedResources?.map(({ name }) => name));

  async function call(verb: string, body: object, signal: AbortSignal): Promise<unknown> {
    const path = `/${verb.replace(/^\/+/, '')}`;
    const fail = (why: string): Error => new Error(`extender ${config.urlPrefix}, ${verb}: ${why}`);
    try {
      const response = await transport.request({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: write(body, spelling),
        signal,
        timeoutMs,
      });
      const text = await bounded(response.body);
      if (response.status !== 200) throw new Error(`it answered ${response.status}: ${text.slice(0, 512).trim()}`);
      return JSON.parse(text);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (error instanceof SyntaxError) throw fail(`its answer is not JSON: ${error.message}`);
      throw fail(error instanceof Error ? error.message : String(error));
    }
  }

  const argsOf = (pod: Pod, nodes: readonly NodeInfo[]): ExtenderArgs => ({
    Pod: pod,
    Nodes: config.nodeCacheCapable ? null : { metadata: {}, items: nodes.map(each => each.node) },
    NodeNames: config.nodeCacheCapable ? nodes.map(each => each.name) : null,
  });

  const said = (verb: string, message: string): Error => new Error(`extender ${config.urlPrefix}, ${verb}: ${message}`);

  return {
    config,
    interested(pod) {
      if (managed.size === 0) return true;
      return [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some(({ resources }) =>
        [...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})].some(name =>
          managed.has(name),
        ),
      );
    },

    async filter(pod, nodes, signal) {
      const verb = config.filterVerb!;
      const answer = await call(verb, argsOf(pod, nodes), signal);
      const message = readText(answer, 'Error');
      if (message) throw said(verb, message);
      const names = config.nodeCacheCapable
        ? (readTexts(answer, 'NodeNames') ?? namesOf(readNodes(answer, 'Nodes')))
        : namesOf(readNodes(answer, 'Nodes'));
      const asked = new Set(nodes.map(each => each.name));
      const stranger = names.find(name => !asked.has(name));
      if (stranger !== undefined) throw said(verb, `it answered with node "${stranger}", which it was not asked about`);
      return {
        nodes: names,
        failed: textsOf(readMap(answer, 'FailedNodes')),
        unresolvable: textsOf(readMap(answer, 'FailedAndUnresolvableNodes')),
      };
    },

    async prioritize(pod, nodes, signal) {
      const verb = config.prioritizeVerb!;
      const answer = await call(verb, argsOf(pod, nodes), signal);
      if (answer === null) return new Map();
      if (!Array.isArray(answer)) throw said(verb, 'its answer is not a list of hosts with scores');
      const scores = new Map<string, number>();
      for (const each of answer) {
        const score = read(each, 'Score') ?? 0;
        if (typeof score !== 'number') throw said(verb, `the score of "${readText(each, 'Host')}" is not a number`);
        scores.set(readText(each, 'Host'), score);
      }
      return scores;
    },

    async bind(pod, node, signal) {
      const { name, namespace, uid } = pod.metadata;
      const body: ExtenderBindingArgs = { PodName: name, PodNamespace: namespace, PodUID: uid, Node: node };
      const message = readText(await call(config.bindVerb!, body, signal), 'Error');
      if (message) throw said(config.bindVerb!, message);
    },

    async preempt(pod, candidates, signal) {
      const verb = config.preemptVerb!;
      const answer = await call(verb, preemptionArgs(pod, candidates, config.nodeCacheCapable ?? false), signal);
      const byNode = new Map(candidates.map(each => [each.node, each]));
      const kept: ExtenderCandidate[] = [];
      for (const [node, { pods, violations }] of readVictims(answer, 'NodeNameToMetaVictims') ?? []) {
        const asked = byNode.get(node);
        if (!asked) throw said(verb, `it answered with node "${node}", which it was not asked about`);
        const byUid = new Map(asked.victims.map(each => [each.metadata.uid, each]));
        const victims = pods.map(each => {
          const uid = readText(each, 'UID');
          const victim = byUid.get(uid);
          if (!victim) throw said(verb, `it answered with victim "${uid}" on ${node}, which is not one of its victims`);
          return victim;
        });
        kept.push({ node, victims, broken: violations });
      }
      return kept;
    },

    close: () => transport.close(),
  };
}

function preemptionArgs(pod: Pod, candidates: readonly ExtenderCandidate[], meta: boolean): ExtenderPreemptionArgs {
  const full = () =>
    candidates.map(({ node, victims, broken }) => [node, { Pods: victims, NumPDBViolations: broken }] as const);
  const short = () =>
    candidates.map(
      ({ node, victims, broken }) =>
        [node, { Pods: victims.map(each => ({ UID: each.metadata.uid })), NumPDBViolations: broken }] as const,
    );
  return {
    Pod: pod,
    NodeNameToVictims: meta ? null : Object.fromEntries(full()),
    NodeNameToMetaVictims: meta ? Object.fromEntries(short()) : null,
  };
}

const namesOf = (nodes: readonly Node[] | undefined): string[] => (nodes ?? []).map(each => each.metadata.name);
const textsOf = (map: Record<string, unknown>): Record<string, string> =>
  Object.fromEntries(Object.entries(map).map(([node, text]) => [node, String(text)]));

async function bounded(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > largestAnswer) throw new Error(`its answer is larger than ${largestAnswer} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const pem = (base64: string): Buffer => Buffer.from(base64, 'base64');

function transportOf({ urlPrefix, enableHTTPS, tlsConfig: tls = {} }: ExtenderConfig, clock: Clock): Transport {
  return httpTransport({
    server: enableHTTPS ? urlPrefix.replace(/^http:/, 'https:') : urlPrefix,
    clock,
    ...(tls.caData ? { ca: pem(tls.caData) } : tls.caFile ? { caFile: tls.caFile } : {}),
    ...(tls.certData ? { cert: pem(tls.certData) } : tls.certFile ? { certFile: tls.certFile } : {}),
    ...(tls.keyData ? { key: pem(tls.keyData) } : tls.keyFile ? { keyFile: tls.keyFile } : {}),
    ...(tls.insecure ? { insecureSkipTlsVerify: true } : {}),
    ...(tls.serverName ? { tlsServerName: tls.serverName } : {}),
  });
}
