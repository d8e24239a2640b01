/** What else of the cluster plugins look at: claims, volumes, classes, disruption budgets, services, workloads, node metrics, by kind. */
import type { KubeObject } from '@orbitkit/core';

export class ClusterObjects {
  readonly #byKind = new Map<string, Map<string, KubeObject>>();
  readonly #versions = new Map<string, number>();

  set(object: KubeObject): void {
    let all = this.#byKind.get(object.kind);
    if (!all) {
      all = new Map();
      this.#byKind.set(object.kind, all);
    }
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const before = all.get(key)?.metadata;
    all.set(key, object);
    // Only the status of an object with a generation moved: nothing that rules are compiled from.
    const { uid, generation } = object.metadata;
    if (before && generation !== undefined && before.uid === uid && before.generation === generation) return;
    this.#versions.set(object.kind, this.version(object.kind) + 1);
  }

  remove(object: KubeObject): void {
    if (this.#byKind.get(object.kind)?.delete(keyOf(object.metadata.namespace, object.metadata.name)))
      this.#versions.set(object.kind, this.version(object.kind) + 1);
  }

  get<T extends KubeObject>(kind: T['kind'], namespace: string | undefined, name: string): T | undefined {
    return this.#byKind.get(kind)?.get(keyOf(namespace, name)) as T | undefined;
  }

  list<T extends KubeObject>(kind: T['kind']): readonly T[] {
    return [...(this.#byKind.get(kind)?.values() ?? [])] as T[];
  }

  /** Changes whenever an object of the kind does; for kinds with a generation, whenever that does. */
  version(kind: string): number {
    return this.#versions.get(kind) ?? 0;
  }
}

const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`;
