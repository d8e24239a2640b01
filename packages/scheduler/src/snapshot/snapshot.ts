/** The world as one decision sees it. */
import type { Node, Pod } from '@orbitkit/core';
import type { ClusterObjects } from './cluster-objects.js';
import { ClusterState } from './cluster-state.js';
import type { Columns } from './columns.js';
import type { NodeInfo } from './node-info.js';
import type { PodCounts } from './pod-counts.js';

/** Read-only for plugins; right until something changes. */
export interface Snapshot {
  /** Zone by zone in turn, within a zone by name; without zones simply by name. */
  readonly nodes: readonly NodeInfo[];
  get(name: string): NodeInfo | undefined;
  /** Labels of a namespace; empty when it is not known. */
  namespaceLabels(name: string): Readonly<Record<string, string>>;
  /** Claims, volumes, budgets, metrics and whatever else plugins look at. */
  readonly objects: ClusterObjects;
  /** The fast interface: numbers by node slot. */
  readonly columns: Columns;
  /** The fast interface: counts by topology domain. */
  readonly counts: PodCounts;
  /** Slots in the order of `nodes`. */
  readonly order: Int32Array;
  at(slot: number): NodeInfo;
  /** Where a pod counts: bound or assumed. */
  nodeOf(uid: string): string | undefined;
  /** Changes with every change. */
  readonly version: number;
  /** Changes when nodes join, leave or change. */
  readonly nodesVersion: number;
  readonly nominated: ReadonlyMap<number, ReadonlyMap<string, Pod>>;
  /** The answer in a cluster with other pods; everything is put back. */
  suppose<T>(ask: (change: Supposition) => T): T;
}

export interface Supposition {
  remove(pod: Pod): void;
  add(pod: Pod, node: string): void;
}

/** A cluster of these objects. @param namespaces Labels by namespace. */
export function snapshotOf(
  nodes: readonly Node[],
  pods: readonly Pod[] = [],
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(),
): ClusterState {
  const state = new ClusterState();
  for (const node of nodes) state.setNode(node);
  for (const pod of pods) state.setPod(pod);
  for (const [name, labels] of namespaces) state.setNamespace(name, labels);
  return state;
}
