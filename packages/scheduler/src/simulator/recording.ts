/**
 * A live cluster's nodes and pods as JSON lines, and the same again under another policy.
 *
 * A line is what a watch told, at a time in milliseconds since 1970: `node` (new or changed), `nodeGone`, `pod` (seen for the first time), `bound`, `ended`; `synced`
 * divides what was there from what came. Of pods only that is kept which schedulers read: no commands, environment, or volumes, so a recording has no
 * secrets of theirs, and claims play no part in a replay. A pod lives as long as it did from its binding; one deleted while it waited is deleted at that time.
 * Pods that were there at the beginning are placed at the beginning.
 */
import { type Client, type Clock, type corev1, Node, Pod } from '@orbitkit/core';
import { type DeepReadonly, sharedInformer } from '@orbitkit/informer';
import { z } from 'zod';
import type { Plugin } from '../framework/plugin.js';
import { minMemberAnnotation } from '../plugins/gang.js';
import { prioritySort } from '../plugins/priority-sort.js';
import type { NodeChange } from './nodes.js';
import type { Policy } from './policies.js';
import type { Arrival, PodTemplate } from './workload.js';

/** What is recorded, and where it goes. */
export interface RecordOptions {
  readonly client: Client;
  readonly clock: Clock;
  /** The recording ends with it. */
  readonly signal: AbortSignal;
  /** A line with its end. */
  write(line: string): void;
}

/** A recording, ready for `simulate()`. Times in seconds since its start. */
export interface Recording {
  readonly nodes: readonly Node[];
  readonly changes: readonly NodeChange[];
  readonly pods: readonly Arrival[];
  /** Its length in seconds. */
  readonly until: number;
}

/** Resolves when the signal aborts. */
export async function recordCluster({ client, clock, signal, write }: RecordOptions): Promise<void> {
  const tell = (entry: object): void => write(`${JSON.stringify({ at: clock.now(), ...entry })}\n`);
  const told = new Map<string, string>();
  const node = (given: DeepReadonly<Node>): void => {
    const object = nodeOf(given as Node);
    const text = JSON.stringify(object);
    // Heartbeats are no news.
    if (told.get(object.metadata.name) === text) return;
    told.set(object.metadata.name, text);
    tell({ node: object });
  };
  const ended = new Set<string>();
  const end = (uid: string): void => {
    if (!ended.has(uid)) tell({ ended: uid });
    ended.add(uid);
  };
  const nodes = sharedInformer({ client, kind: Node, clock });
  nodes.addHandler({
    onAdd: node,
    onUpdate: (_before, after) => node(after),
    onDelete({ metadata: { name } }) {
      told.delete(name);
      tell({ nodeGone: name });
    },
  });
  const pods = sharedInformer({ client, kind: Pod, clock });
  const seen = (before: Pod | undefined, pod: Pod): void => {
    const { uid } = pod.metadata;
    if (!before) {
      if (isTerminal(pod)) {
        ended.add(uid);
        return;
      }
      tell({ pod: podOf(pod) });
    }
    if (pod.spec.nodeName && !before?.spec.nodeName) tell({ bound: uid, node: pod.spec.nodeName });
    if (isTerminal(pod)) end(uid);
  };
  pods.addHandler({
    onAdd: pod => seen(undefined, pod as Pod),
    onUpdate: (before, after) => seen(before as Pod, after as Pod),
    onDelete({ metadata: { uid } }) {
      end(uid);
      ended.delete(uid);
    },
  });
  const running = [nodes.run({ signal }), pods.run({ signal })];
  try {
    await Promise.all([nodes.waitForSync({ signal }), pods.waitForSync({ signal })]);
    tell({ synced: true });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await Promise.all(running);
  }
}

const isTerminal = ({ status }: Pod): boolean => status.phase === 'Succeeded' || status.phase === 'Failed';

function nodeOf({ metadata, spec, status }: Node): Node {
  const ready = status.conditions?.find(condition => condition.type === 'Ready')?.status ?? 'Unknown';
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: metadata.name, uid: metadata.uid, resourceVersion: '1', labels: metadata.labels ?? {} },
    spec: {
      ...(spec.taints ? { taints: spec.taints } : {}),
      ...(spec.unschedulable ? { unschedulable: true } : {}),
    },
    status: {
      allocatable: status.allocatable ?? status.capacity ?? {},
      conditions: [{ type: 'Ready', status: ready }],
    },
  } as Node;
}

const containerOf = ({ name, image, ports, resources, restartPolicy }: corev1.Container): corev1.Container => ({
  name,
  ...(image ? { image } : {}),
  ...(ports ? { ports } : {}),
  ...(resources?.requests ? { resources: { requests: resources.requests } } : {}),
  ...(restartPolicy ? { restartPolicy } : {}),
});

function podOf({ metadata, spec }: Pod) {
  const { namespace, name, uid, labels = {}, annotations } = metadata;
  const { affinity, hostNetwork, nodeSelector, overhead, preemptionPolicy, priority, tolerations } = spec;
  const { initContainers, topologySpreadConstraints } = spec;
  const members = annotations?.[minMemberAnnotation];
  // What is undefined is not written.
  const kept = {
    affinity,
    hostNetwork,
    nodeSelector,
    overhead,
    preemptionPolicy,
    priority,
    tolerations,
    topologySpreadConstraints,
  };
  return {
    ...{ uid, namespace, name, labels },
    ...(members ? { annotations: { [minMemberAnnotation]: members } } : {}),
    spec: {
      ...kept,
      containers: spec.containers.map(containerOf),
      ...(initContainers ? { initContainers: initContainers.map(containerOf) } : {}),
    },
  };
}

const at = z.number();
const loose = z.looseObject({});
const line = z.union([
  z.strictObject({
    at,
    node: z.looseObject({ metadata: z.looseObject({ name: z.string(), uid: z.string() }), spec: loose, status: loose }),
  }),
  z.strictObject({ at, nodeGone: z.string() }),
  z.strictObject({
    at,
    pod: z.strictObject({
      uid: z.string(),
      namespace: z.string(),
      name: z.string(),
      labels: z.record(z.string(), z.string()),
      annotations: z.record(z.string(), z.string()).optional(),
      spec: z.looseObject({ containers: z.array(loose).min(1) }),
    }),
  }),
  z.strictObject({ at, bound: z.string(), node: z.string() }),
  z.strictObject({ at, ended: z.string() }),
  z.strictObject({ at, synced: z.literal(true) }),
]);
type Entry = z.output<typeof line>;

function entryOf(text: string, where: string): Entry {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${where}: no JSON: ${error instanceof Error ? error.message : error}`);
  }
  const result = line.safeParse(value);
  if (!result.success) throw new Error(`${where}: no line of a recording (node, nodeGone, pod, bound, ended, synced)`);
  return result.data;
}

const recordedNode = 'orbitkit.dev/recorded-node';

/** @throws Error that names file and line. */
export function readRecording(text: string, file = 'recording'): Recording {
  const nodes: Node[] = [];
  const changes: NodeChange[] = [];
  const pods = new Map<string, Arrival & { boundAt?: number }>();
  let start: number | undefined;
  let last = 0;
  let synced = false;
  text.split('\n').forEach((each, i) => {
    if (each.trim() === '') return;
    const entry = entryOf(each, `${file}:${i + 1}`);
    start ??= entry.at;
    const now = synced ? (entry.at - start) / 1_000 : 0;
    last = Math.max(last, now);
    if ('synced' in entry) synced = true;
    else if ('nodeGone' in entry) changes.push({ at: now, what: 'remove', name: entry.nodeGone });
    else if ('pod' in entry) {
      const { uid, name, namespace, labels, annotations, spec } = entry.pod;
      const template: PodTemplate = { namespace, labels, spec: spec as unknown as corev1.PodSpec };
      pods.set(uid, {
        at: now,
        name,
        group: namespace,
        seconds: Infinity,
        template,
        ...(annotations ? { annotations } : {}),
      });
    } else if ('bound' in entry) {
      const pod = pods.get(entry.bound);
      if (pod)
        pods.set(entry.bound, {
          ...pod,
          boundAt: now,
          annotations: { ...pod.annotations, [recordedNode]: entry.node },
        });
    } else if ('ended' in entry) {
      const pod = pods.get(entry.ended);
      if (pod?.boundAt !== undefined) pods.set(entry.ended, { ...pod, seconds: now - pod.boundAt });
      else if (pod) pods.set(entry.ended, { ...pod, deletedAt: now });
    } else if ('node' in entry) {
      const node = entry.node as unknown as Node;
      if (synced) changes.push({ at: now, what: 'set', node });
      else nodes.push(node);
    }
  });
  return { nodes, changes, pods: [...pods.values()], until: last };
}

/** Each pod where it was; those that were nowhere wait. To stand beside others in a report. */
export function recordedPolicy(name = 'recorded'): Policy {
  const plugin: Plugin = {
    name: 'Recorded',
    preFilter(pod) {
      const node = pod.metadata.annotations?.[recordedNode];
      return node ? { nodes: new Set([node]) } : { reasons: ['the pod was not placed while it was recorded'] };
    },
  };
  return { name, plugins: () => [prioritySort(), plugin] };
}
