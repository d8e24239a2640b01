/**
 * The kinds that an autoscaler's references name. Workloads are known; all others are discovered, and discovered again when one is not found,
 * since it may have been installed since. A reference's version is not looked at, only its group, as upstream does.
 */
import {
  type Client,
  Deployment,
  discoverKinds,
  type KindResolver,
  type KubeObject,
  ReplicaSet,
  ReplicationController,
  type ResourceRef,
  StatefulSet,
} from '@orbitkit/core';

const workloads: readonly ResourceRef<any>[] = [Deployment, ReplicaSet, StatefulSet, ReplicationController];

/** @throws Error when the reference cannot be read or the server has no such kind. */
export type FindKind = (reference: {
  apiVersion?: string | undefined;
  kind: string;
}) => Promise<ResourceRef<KubeObject>>;

export function kindFinder(client: Pick<Client, 'transport'>): FindKind {
  let known: Promise<KindResolver> | undefined;
  const discover = () => {
    const fresh = discoverKinds(client.transport);
    known = fresh;
    fresh.catch(() => {
      if (known === fresh) known = undefined;
    });
    return fresh;
  };
  return async ({ apiVersion = '', kind }) => {
    const parts = apiVersion.split('/');
    if (parts.length > 2) throw new Error(`unexpected GroupVersion string: ${apiVersion}`);
    const group = parts.length === 2 ? parts[0]! : '';
    const fits = (each: ResourceRef<any>) => each.group === group && each.kind === kind;
    const workload = workloads.find(fits);
    if (workload) return workload;
    const before = known && (await known.catch(() => undefined))?.kinds.find(fits);
    const found = before ?? (await discover()).kinds.find(fits);
    if (!found) throw new Error(`no matches for kind "${kind}" in group "${group}"`);
    return found as ResourceRef<any>;
  };
}
