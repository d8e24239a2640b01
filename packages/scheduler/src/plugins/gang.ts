/**
 * All or nothing: the pods of a group wait in Permit until `minMember` of them have a place, then all go; when the time is over first, all give
 * their places back. A group is the label `scheduling.x-k8s.io/pod-group` (scheduler-plugins' Coscheduling); its size is `spec.minMember` of the
 * PodGroup of that name (scheduling.x-k8s.io/v1alpha1), or the annotation `orbitkit.dev/min-member` on its pods.
 */
import type { DynamicObject, Pod, ResourceRef } from '@orbitkit/core';
import { sharedInformer } from '@orbitkit/informer';
import type { ClusterEvent } from '../framework/event.js';
import type { SchedulerHandle } from '../framework/handle.js';
import type { Plugin, Refusal } from '../framework/plugin.js';
import type { Snapshot } from '../snapshot/snapshot.js';

/** On pods: name of their group, within their namespace. */
export const podGroupLabel = 'scheduling.x-k8s.io/pod-group';
/** On pods: how many of their group there must be. For clusters without PodGroups. */
export const minMemberAnnotation = 'orbitkit.dev/min-member';

/** Everything has a default. */
export interface GangOptions {
  /** How long places are held; `spec.scheduleTimeoutSeconds` of a PodGroup wins. Default 60 s. The scheduler's own bound on Permit, `bindTimeoutMs`, ends it in any case. */
  permitTimeoutMs?: number;
}

interface PodGroup extends DynamicObject {
  kind: 'PodGroup';
  spec?: { minMember?: number; scheduleTimeoutSeconds?: number };
}

interface Gang {
  /** Members that hold a place or have it for good. */
  readonly members: Set<string>;
  /** Those who wait, told true to go and false to give up. */
  readonly waiting: Map<string, (go: boolean) => void>;
}

const podGroups: ResourceRef<DynamicObject> = {
  group: 'scheduling.x-k8s.io',
  version: 'v1alpha1',
  kind: 'PodGroup',
  plural: 'podgroups',
  namespaced: true,
};

/** The plugin; one for each scheduler, since it keeps the groups that wait. */
export const gang = (options: GangOptions = {}): Plugin => {
  const gangs = new Map<string, Gang>();
  let handle: SchedulerHandle | undefined;
  const nameOf = ({ metadata }: Pod): string | undefined =>
    metadata.labels?.[podGroupLabel] && `${metadata.namespace}/${metadata.labels[podGroupLabel]}`;
  const groupOf = ({ metadata }: Pod): PodGroup | undefined =>
    handle?.snapshot.objects.get<PodGroup>('PodGroup', metadata.namespace, metadata.labels![podGroupLabel]!);
  const sizeOf = (pod: Pod): number =>
    groupOf(pod)?.spec?.minMember ?? Number(pod.metadata.annotations?.[minMemberAnnotation] ?? 1);
  const timeoutOf = (pod: Pod): number => {
    const seconds = groupOf(pod)?.spec?.scheduleTimeoutSeconds;
    return seconds ? seconds * 1_000 : (options.permitTimeoutMs ?? 60_000);
  };

  function gangOf(name: string): Gang {
    let found = gangs.get(name);
    if (!found) {
      // Members that are there since before this scheduler started.
      found = { members: new Set(handle ? membersOn(handle.snapshot, name, nameOf) : []), waiting: new Map() };
      gangs.set(name, found);
    }
    return found;
  }
  const release = (each: Gang, go: boolean): void => {
    for (const tell of [...each.waiting.values()]) tell(go);
  };

  /** Its PodGroup changed, or a member has a place and waits. */
  const concerns = (pod: Pod, { after }: ClusterEvent): boolean => {
    if (!after) return true;
    const { namespace, name } = after.metadata;
    const group = after.kind === 'PodGroup' ? `${namespace}/${name}` : nameOf(after as Pod);
    return group === nameOf(pod);
  };

  return {
    name: 'Coscheduling',
    events: [
      'NodeAdd',
      'PodDelete',
      { type: 'PodGroup', hint: (pod, event) => (concerns(pod, event) ? 'Queue' : 'Skip') },
    ],
    attach(given) {
      handle = given;
      const informer = sharedInformer({ client: given.client, kind: podGroups, clock: given.clock });
      const { objects } = given.snapshot;
      informer.addHandler({
        onAdd(group) {
          objects.set(group as DynamicObject);
          given.notice({ type: 'PodGroup', after: group as DynamicObject });
        },
        onUpdate(_before, group) {
          objects.set(group as DynamicObject);
          given.notice({ type: 'PodGroup', after: group as DynamicObject });
        },
        onDelete: group => objects.remove(group as DynamicObject),
      });
      // A cluster without the kind has groups by annotation alone; the informer goes on asking with back-off.
      informer.run({ signal: given.signal }).catch(() => {});
    },
    reserve(pod) {
      const name = nameOf(pod);
      if (name) gangOf(name).members.add(pod.metadata.uid);
    },
    unreserve(pod) {
      const name = nameOf(pod);
      const own = name ? gangs.get(name) : undefined;
      if (!name || !own) return;
      own.members.delete(pod.metadata.uid);
      // Without it the others cannot be complete: nobody keeps a place.
      release(own, false);
      if (own.members.size === 0) gangs.delete(name);
    },
    async permit(pod, _node, signal): Promise<Refusal | undefined> {
      const name = nameOf(pod);
      if (!name || sizeOf(pod) <= 1) return undefined;
      const own = gangOf(name);
      const there = handle ? [...own.members].filter(uid => handle!.snapshot.nodeOf(uid)) : [...own.members];
      if (there.length >= sizeOf(pod)) {
        release(own, true);
        return undefined;
      }
      const go = await new Promise<boolean>(resolve => {
        const end = (answer: boolean) => {
          timer?.cancel();
          signal.removeEventListener('abort', onAbort);
          own.waiting.delete(pod.metadata.uid);
          resolve(answer);
        };
        const onAbort = () => end(false);
        // Those who gave their places back have somebody to wait with again.
        handle?.notice({ type: 'PodGroup', after: pod });
        const timer = handle?.clock.setTimer(timeoutOf(pod), () => release(own, false));
        own.waiting.set(pod.metadata.uid, end);
        signal.addEventListener('abort', onAbort, { once: true });
      });
      return go ? undefined : { reasons: [`pod group ${name} did not get its ${sizeOf(pod)} places in time`] };
    },
  };
};

function membersOn(snapshot: Snapshot, name: string, nameOf: (pod: Pod) => string | undefined): string[] {
  return snapshot.nodes.flatMap(node => node.pods.filter(pod => nameOf(pod) === name).map(pod => pod.metadata.uid));
}
