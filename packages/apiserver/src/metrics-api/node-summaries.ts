/**
 * What the agents measured: `/stats/summary` of each node, asked for when somebody wants to know, and kept for 15 s (metrics-server's
 * resolution). Whoever asks meanwhile shares the answer, and the request under way.
 *
 * Bounds: 16 agents at a time, 5 s and 8 MiB an answer. An agent that does not answer is left out, and not asked again for 5 s.
 */
import { type Clock, type DynamicObject, type Logger, parseTime } from '@orbitkit/core';
import { agentOf } from '../node-proxy/agent-address.js';
import type { Backend, ClientCertificate } from '../node-proxy/backend.js';
import { requestBackend } from '../node-proxy/backend-request.js';

export interface Usage {
  /** When it was measured, milliseconds since 1970. */
  at: number;
  /** Over how long the processor's rate was taken. */
  windowMs: number;
  nanoCores: number;
  bytes: number;
}

export interface NodeSummary {
  node: Usage;
  /** By uid. */
  pods: ReadonlyMap<string, readonly { name: string; usage: Usage }[]>;
}

export interface NodeSummaries {
  /** By the nodes' names; without those that did not answer. */
  of(nodes: readonly DynamicObject[]): Promise<ReadonlyMap<string, NodeSummary>>;
}

export interface NodeSummariesOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly clientCertificate?: (() => Promise<ClientCertificate>) | undefined;
  /** How long a measure is good for. Default 15 s (metrics-server's `--metric-resolution`). */
  readonly resolutionMs?: number | undefined;
  /** Default: over the network. Must end with the signal. */
  readonly ask?: (backend: Backend, signal: AbortSignal) => Promise<unknown>;
}

const keepMs = 15_000;
const keepFailureMs = 5_000;
const askMs = 5_000;
const atATime = 16;
const mostBytes = 8 * 1024 * 1024;
const mostKept = 10_000;

interface Kept {
  until: number;
  answer: Promise<NodeSummary | undefined>;
}

export function nodeSummaries(options: NodeSummariesOptions): NodeSummaries {
  const { clock, log, clientCertificate, ask = askAgent, resolutionMs = keepMs } = options;
  const kept = new Map<string, Kept>();
  let asking = 0;
  const turns: (() => void)[] = [];

  async function measure(node: DynamicObject): Promise<NodeSummary | undefined> {
    if (asking >= atATime) await new Promise<void>(resolve => turns.push(resolve));
    else asking += 1;
    const over = new AbortController();
    const timer = clock.setTimer(askMs, () => over.abort(new Error(`no answer within ${askMs / 1000} s`)));
    try {
      return summaryIn(await ask(agentOf(node, await clientCertificate?.()), over.signal));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.debug('a node is left out of the metrics', { node: node.metadata.name, error: why });
      return undefined;
    } finally {
      timer.cancel();
      // The turn goes on to who waits, or is given back.
      const next = turns.shift();
      if (next) next();
      else asking -= 1;
    }
  }

  function summaryOf(node: DynamicObject): Promise<NodeSummary | undefined> {
    const key = node.metadata.uid ?? node.metadata.name;
    const now = clock.now();
    const known = kept.get(key);
    if (known && now < known.until) return known.answer;
    const entry: Kept = { until: Number.POSITIVE_INFINITY, answer: measure(node) };
    kept.set(key, entry);
    void entry.answer.then(summary => {
      entry.until = clock.now() + (summary ? resolutionMs : Math.min(resolutionMs, keepFailureMs));
    });
    if (kept.size > mostKept) for (const [other, { until }] of kept) if (until <= now) kept.delete(other);
    return entry.answer;
  }

  return {
    async of(nodes) {
      const ready = nodes.filter(isReady);
      const found = await Promise.all(ready.map(summaryOf));
      return new Map(
        ready.flatMap((node, index) => {
          const summary = found[index];
          return summary ? [[node.metadata.name, summary] as const] : [];
        }),
      );
    },
  };
}

/** A node of which is known that it does not answer is not waited for. */
const isReady = (node: DynamicObject): boolean =>
  node['status']?.conditions?.find((condition: { type: string }) => condition.type === 'Ready')?.status === 'True';

async function askAgent(backend: Backend, signal: AbortSignal): Promise<unknown> {
  const answer = await requestBackend(backend, {
    method: 'GET',
    path: '/stats/summary',
    signal,
    headersTimeoutMs: askMs,
  });
  if (answer.status !== 200) throw new Error(`it answered ${answer.status}`);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.length;
    if (size > mostBytes) throw new Error(`its answer is longer than ${mostBytes} bytes`);
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString());
}

/** Reads the kubelet's form; what has no rate yet is left out. @throws Error when it is something else */
function summaryIn(value: unknown): NodeSummary {
  const { node, pods } = (value ?? {}) as { node?: unknown; pods?: unknown };
  const own = usageIn(node);
  if (!own || !Array.isArray(pods)) throw new Error('its answer is no summary of statistics');
  const found = new Map<string, { name: string; usage: Usage }[]>();
  for (const pod of pods as { podRef?: { uid?: unknown }; containers?: unknown }[]) {
    const uid = pod?.podRef?.uid;
    if (typeof uid !== 'string' || !Array.isArray(pod.containers)) continue;
    const containers = (pod.containers as { name?: unknown }[]).flatMap(container => {
      const usage = usageIn(container);
      return usage && typeof container.name === 'string' ? [{ name: container.name, usage }] : [];
    });
    if (containers.length > 0) found.set(uid, containers);
  }
  return { node: own, pods: found };
}

function usageIn(value: unknown): Usage | undefined {
  const { cpu, memory } = (value ?? {}) as {
    cpu?: { time?: string; usageNanoCores?: unknown; windowMs?: unknown };
    memory?: { workingSetBytes?: unknown };
  };
  const amount = (number: unknown): number | undefined =>
    typeof number === 'number' && Number.isFinite(number) && number >= 0 ? Math.round(number) : undefined;
  const [at, nanoCores, bytes] = [parseTime(cpu?.time), amount(cpu?.usageNanoCores), amount(memory?.workingSetBytes)];
  if (at === undefined || nanoCores === undefined || bytes === undefined) return undefined;
  return { at, nanoCores, bytes, windowMs: amount(cpu?.windowMs) ?? 0 };
}
