/**
 * The bodies of kube's extender protocol, in both spellings.
 *
 * Today's types (k8s.io/kube-scheduler/extender/v1) have no JSON tags, so Go writes `Pod`, `NodeNames`, `FailedNodes`, `Host`; the types before them had
 * lower-case ones: `pod`, `nodenames`, `failedNodes`, `host`. Go reads either, without regard to case; so does `read`. Objects inside (pods, nodes)
 * are the API's and keep their spelling.
 */
import type { Node, Pod } from '@orbitkit/core';

/** `current`: `NodeNames`; `legacy`: `nodenames`. */
export type Spelling = 'current' | 'legacy';

/** ExtenderArgs: one of `Nodes` and `NodeNames` is set. */
export interface ExtenderArgs {
  Pod: Pod;
  Nodes: { metadata: object; items: readonly Node[] } | null;
  NodeNames: readonly string[] | null;
}

export interface ExtenderFilterResult {
  Nodes: { metadata: object; items: readonly Node[] } | null;
  NodeNames: readonly string[] | null;
  FailedNodes: Readonly<Record<string, string>> | null;
  FailedAndUnresolvableNodes: Readonly<Record<string, string>> | null;
  Error: string;
}

export interface HostPriority {
  Host: string;
  /** 0…10, whole. */
  Score: number;
}

export interface ExtenderBindingArgs {
  PodName: string;
  PodNamespace: string;
  PodUID: string;
  Node: string;
}

export interface Victims {
  Pods: readonly Pod[];
  NumPDBViolations: number;
}

export interface MetaVictims {
  Pods: readonly { UID: string }[];
  NumPDBViolations: number;
}

/** ExtenderPreemptionArgs: one of the two maps is set. */
export interface ExtenderPreemptionArgs {
  Pod: Pod;
  NodeNameToVictims: Readonly<Record<string, Victims>> | null;
  NodeNameToMetaVictims: Readonly<Record<string, MetaVictims>> | null;
}

/** The best score an extender can give, and the plugins' best: what it gives is multiplied by 100 / 10 and its weight. */
export const maxExtenderPriority = 10;

/** Tags of the older types, where lower-casing the first letter does not make them. */
const legacyNames: Readonly<Record<string, string>> = {
  NodeNames: 'nodenames',
  PodUID: 'podUID',
  UID: 'uid',
  NodeNameToVictims: 'nodeNameToVictims',
  NumPDBViolations: 'numPDBViolations',
};

/** Fields whose value is again a thing of the protocol; the rest is the API's, or a map by names of nodes, and keeps its spelling. */
const inner = new Set(['NodeNameToVictims', 'NodeNameToMetaVictims']);

/** The body as text. */
export function write(body: object, spelling: Spelling): string {
  return JSON.stringify(spelling === 'current' ? body : legacy(body));
}

function legacy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(legacy);
  if (typeof value !== 'object' || value === null) return value;
  const out: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const key = legacyNames[name] ?? name.charAt(0).toLowerCase() + name.slice(1);
    if (inner.has(name) && field)
      out[key] = Object.fromEntries(
        Object.entries(field as Record<string, Victims | MetaVictims>).map(([node, victims]) => [
          node,
          legacyVictims(victims),
        ]),
      );
    else out[key] = field;
  }
  return out;
}

const legacyVictims = ({ Pods, NumPDBViolations }: Victims | MetaVictims) => ({
  pods: Pods.map(pod => ('UID' in pod ? { uid: pod.UID } : pod)),
  numPDBViolations: NumPDBViolations,
});

/** A field of a body in whatever case it came; `null` is undefined. An exact name wins. */
export function read(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null) return undefined;
  const fields = body as Record<string, unknown>;
  if (name in fields) return fields[name] ?? undefined;
  const wanted = name.toLowerCase();
  const key = Object.keys(fields).find(each => each.toLowerCase() === wanted);
  return key === undefined ? undefined : (fields[key] ?? undefined);
}

/** The spelling that whoever sent this understands. */
export const spellingOf = (body: object): Spelling =>
  Object.keys(body).some(key => /^[A-Z]/.test(key)) ? 'current' : 'legacy';

export function readText(body: unknown, name: string): string {
  const value = read(body, name);
  if (value === undefined) return '';
  if (typeof value !== 'string') throw new WireError(`${name} must be text`);
  return value;
}

export function readMap(body: unknown, name: string): Record<string, unknown> {
  const value = read(body, name);
  if (value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) throw new WireError(`${name} must be an object`);
  return value as Record<string, unknown>;
}

export function readTexts(body: unknown, name: string): string[] | undefined {
  const value = read(body, name);
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.some(each => typeof each !== 'string'))
    throw new WireError(`${name} must be a list of texts`);
  return value;
}

/** The items of a NodeList. */
export function readNodes(body: unknown, name: string): Node[] | undefined {
  const value = read(body, name);
  if (value === undefined) return undefined;
  const items = read(value, 'items') ?? [];
  if (!Array.isArray(items) || items.some(each => typeof each?.metadata?.name !== 'string'))
    throw new WireError(`${name}.items must be a list of nodes`);
  // Who is not Go leaves empty parts out.
  return items.map((each: Node) => ({ ...each, spec: each.spec ?? {}, status: each.status ?? {} }));
}

export function readPod(body: unknown, name: string): Pod {
  const value = read(body, name) as Pod | undefined;
  if (typeof value?.metadata?.name !== 'string' || !Array.isArray(value.spec?.containers))
    throw new WireError(`${name} must be a pod, with metadata.name and spec.containers`);
  // Go leaves empty parts out.
  return { ...value, status: value.status ?? {} };
}

/** `NodeNameToVictims` or `NodeNameToMetaVictims`: for each node the pods (or what identifies them) and the broken budgets. */
export function readVictims(
  body: unknown,
  name: string,
): Map<string, { pods: unknown[]; violations: number }> | undefined {
  if (read(body, name) === undefined) return undefined;
  const all = new Map<string, { pods: unknown[]; violations: number }>();
  for (const [node, victims] of Object.entries(readMap(body, name))) {
    const pods = read(victims, 'Pods') ?? [];
    const violations = read(victims, 'NumPDBViolations') ?? 0;
    if (!Array.isArray(pods)) throw new WireError(`${name}.${node}.Pods must be a list`);
    if (typeof violations !== 'number') throw new WireError(`${name}.${node}.NumPDBViolations must be a number`);
    all.set(node, { pods, violations });
  }
  return all;
}

/** A body that is not what the protocol says: where and what. */
export class WireError extends Error {}
