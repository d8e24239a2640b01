/**
 * What a workload's pod template was before: one ControllerRevision a template, numbered upwards, with which a rollout can be undone and pods
 * of two versions can be told apart.
 *
 * - A template that was there before becomes the newest again: its revision gets the next number.
 * - Revisions of the name are told apart by their content; two contents with one name get another name (`collisionCount`).
 * - Beyond the history limit the oldest go, except those that pods still have.
 *
 * Source of the rules: kube-controller-manager `pkg/controller/history`.
 */
import {
  type Client,
  ControllerRevision,
  controllerOf,
  controllerReference,
  isNotFound,
  isStatusError,
  type KubeObject,
} from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';
import type { PodTemplateSpec } from '../../pods/pod-template.js';
import { canonical, shortHash } from '../deployment/template.js';

export type RevisionView = DeepReadonly<ControllerRevision>;

/** The label of a pod that says which revision it is of (`apps.ControllerRevisionHashLabelKey`). */
export const revisionLabel = 'controller-revision-hash';

export interface RevisionHistoryOptions {
  client: Client;
  owner: DeepReadonly<KubeObject & { metadata: { namespace: string } }>;
  template: PodTemplateSpec;
  /** Those of the owner that are known. */
  known: readonly RevisionView[];
  collisionCount: number;
}

export interface NewestRevision {
  revision: RevisionView;
  collisionCount: number;
}

/** What a revision holds: the patch that makes the template that of this revision. */
const dataOf = (template: PodTemplateSpec) => ({ spec: { template: { ...template, $patch: 'replace' } } });

const isOfTemplate = (revision: RevisionView, template: PodTemplateSpec): boolean =>
  canonical(revision.data) === canonical(dataOf(template));

/** The revision of the template as the newest one: made, or raised to be it. */
export async function newestRevision(options: RevisionHistoryOptions): Promise<NewestRevision> {
  const { client, owner, template, known, collisionCount } = options;
  const newest = known.reduce((most, { revision }) => Math.max(most, revision), 0);
  const same = known.filter(each => isOfTemplate(each, template)).sort((a, b) => b.revision - a.revision)[0];
  if (same?.revision === newest) return { revision: same, collisionCount };
  if (same) {
    const { name, namespace, resourceVersion } = same.metadata;
    const patch = { metadata: { resourceVersion }, revision: newest + 1 };
    const revision = await client.patch(ControllerRevision, { name, namespace }, { type: 'merge', patch });
    return { revision, collisionCount };
  }
  const data = dataOf(template);
  for (let collisions = collisionCount; ; collisions++) {
    const hash = shortHash(canonical(data) + (collisions > 0 ? `#${collisions}` : ''));
    const metadata = {
      name: `${owner.metadata.name}-${hash}`,
      namespace: owner.metadata.namespace,
      labels: { ...template.metadata?.labels, [revisionLabel]: hash },
      ownerReferences: [controllerReference(owner as unknown as KubeObject)],
    };
    try {
      const draft = { metadata, data: data as Record<string, unknown>, revision: newest + 1 };
      return { revision: await client.create(ControllerRevision, draft), collisionCount: collisions };
    } catch (error) {
      if (!isStatusError(error) || error.reason !== 'AlreadyExists') throw error;
      const there = await client.get(ControllerRevision, metadata);
      if (controllerOf(there)?.uid === owner.metadata.uid && isOfTemplate(there, template))
        return { revision: there, collisionCount: collisions };
    }
  }
}

/** Deletes the oldest beyond the limit that nothing uses. @param inUse Names of revisions that pods have, and of those that count as live. */
export async function trimHistory(
  client: Client,
  known: readonly RevisionView[],
  inUse: ReadonlySet<string>,
  limit: number,
): Promise<void> {
  const old = known.filter(({ metadata }) => !inUse.has(metadata.name)).sort((a, b) => a.revision - b.revision);
  for (const { metadata } of old.slice(0, Math.max(0, old.length - limit))) {
    const { name, namespace, uid } = metadata;
    await client.delete(ControllerRevision, { name, namespace }, { preconditions: { uid } }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }
}
