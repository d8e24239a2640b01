/**
 * No wake-up is missed: after every event, who is left at rest could still not be placed, nor find pods to preempt. Random clusters, pods and histories
 * under the default plugins; the answer with hints is compared with deciding every pod that rests again.
 */
import { type corev1, type KubeObject, manualClock, type Node, type Pod } from '@orbitkit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { commit } from '../commit.js';
import type { ClusterEvent } from '../framework/event.js';
import { profile } from '../framework/profile.js';
import { nodeEvents, podEvents } from '../live/cluster-events.js';
import { defaultPlugins } from '../profiles.js';
import { schedule } from '../schedule.js';
import { ClusterState } from '../snapshot/cluster-state.js';
import { boundTo, testNode, testPod } from '../testing/fixtures.js';
import { schedulingQueue } from './scheduling-queue.js';

const nodeNames = ['a', 'b', 'c', 'd'];
const zone = 'zone';
const claims = ['c0', 'c1'];
const volumes = ['v0', 'v1'];

// --- what there may be ---

interface NodeShape {
  name: string;
  cpu: string;
  zone: string | undefined;
  disk: string | undefined;
  taint: boolean;
  cordoned: boolean;
  ready: boolean;
}

const nodeShape: fc.Arbitrary<NodeShape> = fc.record({
  name: fc.constantFrom(...nodeNames),
  cpu: fc.constantFrom('1', '2', '4'),
  zone: fc.constantFrom('x', 'y', undefined),
  disk: fc.constantFrom('ssd', undefined),
  taint: fc.boolean(),
  cordoned: fc.constantFrom(false, false, true),
  ready: fc.constantFrom(true, true, true, false),
});

function nodeOf(shape: NodeShape): Node {
  const node = testNode(shape.name, {
    allocatable: { cpu: shape.cpu, pods: '4' },
    labels: { ...(shape.zone ? { [zone]: shape.zone } : {}), ...(shape.disk ? { disk: shape.disk } : {}) },
    ready: shape.ready,
    unschedulable: shape.cordoned,
    ...(shape.taint ? { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' as const }] } : {}),
  });
  return { ...node, metadata: { ...node.metadata, uid: shape.name } };
}

interface PodShape {
  app: string;
  namespace: string;
  cpu: string;
  priority: number;
  needs:
    | 'nothing'
    | 'ssd'
    | 'port'
    | 'near'
    | 'away'
    | 'zoned away'
    | 'elsewhere'
    | 'spread'
    | 'spread hosts'
    | 'claim';
  tolerates: boolean;
  never: boolean;
}

const podShape: fc.Arbitrary<PodShape> = fc.record({
  app: fc.constantFrom('web', 'db'),
  namespace: fc.constantFrom('default', 'default', 'other'),
  cpu: fc.constantFrom('500m', '1', '2', '3'),
  priority: fc.constantFrom(0, 0, 10, 20),
  needs: fc.constantFrom(
    ...([
      'nothing',
      'ssd',
      'port',
      'near',
      'away',
      'zoned away',
      'elsewhere',
      'spread',
      'spread hosts',
      'claim',
    ] as const),
  ),
  tolerates: fc.boolean(),
  never: fc.constantFrom(false, false, true),
});

const term = (app: string, topologyKey: string, more: object = {}) => ({
  requiredDuringSchedulingIgnoredDuringExecution: [
    { labelSelector: { matchLabels: { app } }, topologyKey, ...more },
  ] satisfies corev1.PodAffinityTerm[],
});
const even = (app: string, topologyKey: string, more: object = {}): Partial<corev1.PodSpec> => ({
  topologySpreadConstraints: [
    { maxSkew: 1, topologyKey, whenUnsatisfiable: 'DoNotSchedule', labelSelector: { matchLabels: { app } }, ...more },
  ],
});
const needs = (app: string, number: number): Record<PodShape['needs'], Partial<corev1.PodSpec>> => ({
  nothing: {},
  ssd: { nodeSelector: { disk: 'ssd' } },
  port: { containers: [{ name: 'main', image: 'i', ports: [{ hostPort: 80, containerPort: 80 }] }] },
  near: { affinity: { podAffinity: term('db', zone) } },
  away: { affinity: { podAntiAffinity: term(app, 'kubernetes.io/hostname') } },
  'zoned away': { affinity: { podAntiAffinity: term('web', zone) } },
  elsewhere: {
    affinity: { podAntiAffinity: term('db', zone, { namespaceSelector: { matchLabels: { team: 'red' } } }) },
  },
  spread: even(app, zone, { minDomains: 2, nodeTaintsPolicy: 'Honor' }),
  'spread hosts': even(app, 'kubernetes.io/hostname'),
  claim: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName: claims[number % claims.length]! } }] },
});

let made = 0;
function podOf({ app, namespace, cpu, priority, never, ...shape }: PodShape): Pod {
  const number = made++;
  const pod = testPod(`p${number}`, {
    namespace,
    labels: { app },
    requests: { cpu },
    spec: {
      priority,
      ...(never ? { preemptionPolicy: 'Never' } : {}),
      ...(shape.tolerates ? { tolerations: [{ key: 'k', operator: 'Exists' }] } : {}),
    },
  });
  const { containers, ...spec } = needs(app, number)[shape.needs];
  const [main] = pod.spec.containers;
  return { ...pod, spec: { ...pod.spec, ...spec, containers: [{ ...main!, ...containers?.[0] }] } };
}

const objectOf = (kind: string, apiVersion: string, name: string, fields: object, namespace?: string): KubeObject => ({
  apiVersion,
  kind,
  metadata: {
    name,
    uid: `${kind}-${name}`,
    resourceVersion: `${made++}`,
    creationTimestamp: '',
    ...(namespace ? { namespace } : {}),
  },
  ...fields,
});

type Step =
  | { do: 'node'; shape: NodeShape }
  | { do: 'no node'; name: string }
  | { do: 'pod'; shape: PodShape; node: string }
  | { do: 'end' | 'finish' | 'relabel' | 'shrink' | 'terminate'; which: number }
  | { do: 'team'; red: boolean }
  | { do: 'claim'; name: string; to: string | undefined; gone: boolean; alone: boolean }
  | { do: 'volume'; name: string; host: string; holder: string | undefined; gone: boolean }
  | { do: 'class'; waits: boolean; provisions: boolean }
  | { do: 'forget nomination'; which: number };

const which = fc.nat(20);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('node' as const), shape: nodeShape }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('no node' as const), name: fc.constantFrom(...nodeNames) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pod' as const), shape: podShape, node: fc.constantFrom(...nodeNames) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('end' as const, 'end' as const, 'finish', 'relabel', 'shrink', 'terminate'),
      which,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('team' as const), red: fc.boolean() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      name: fc.constantFrom(...claims),
      to: fc.constantFrom(undefined, ...volumes),
      gone: fc.constantFrom(false, false, true),
      alone: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('volume' as const),
      name: fc.constantFrom(...volumes),
      host: fc.constantFrom(...nodeNames),
      holder: fc.constantFrom(undefined, ...claims),
      gone: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('class' as const), waits: fc.boolean(), provisions: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget nomination' as const), which }) },
);

// --- the cluster, as the live scheduler keeps it ---

function cluster() {
  const clock = manualClock(0);
  const state = new ClusterState();
  const rules = profile({ plugins: defaultPlugins() });
  const queue = schedulingQueue({
    profile: rules,
    clock,
    snapshot: state,
    maxUnschedulableMs: Number.POSITIVE_INFINITY,
  });
  const placed = new Map<string, Pod>();
  const waiting = new Map<string, Pod>();
  const tell = (events: readonly ClusterEvent[]): void => {
    for (const event of events) queue.notice(event);
  };

  function setNode(name: string, after: Node | undefined): void {
    const before = state.get(name)?.node;
    if (after) state.setNode(after);
    else state.removeNode(name);
    tell(nodeEvents(before, after));
  }
  function setPod(before: Pod | undefined, after: Pod | undefined): void {
    const { uid } = (after ?? before)!.metadata;
    if (after) {
      placed.set(uid, after);
      state.setPod(after);
    } else {
      placed.delete(uid);
      state.removePod(uid);
    }
    tell(podEvents(before, after));
  }
  function setObject(type: ClusterEvent['type'], object: KubeObject, gone: boolean): void {
    const before = state.objects.get(object.kind, object.metadata.namespace, object.metadata.name);
    if (gone) state.objects.remove(object);
    else state.objects.set(object);
    queue.notice({ type, ...(before ? { before } : {}), ...(gone ? {} : { after: object }) });
  }

  function decide(pod: Pod): void {
    const { uid } = pod.metadata;
    const decision = schedule(pod, state, rules);
    if (decision.outcome === 'unschedulable') {
      queue.refuse(uid, decision.refusedBy);
      const { preemption } = decision;
      if (decision.losesNomination) loseNomination(pod);
      if (!preemption) return;
      const nominated: Pod = { ...pod, status: { ...pod.status, nominatedNodeName: preemption.node } };
      waiting.set(uid, nominated);
      const kept = state.nominationOf(uid);
      state.nominate(uid, nominated, preemption.node);
      queue.add(nominated);
      if (kept !== undefined && kept !== preemption.node) queue.notice({ type: 'PodDelete', before: pod, node: kept });
      for (const victim of preemption.victims) terminate(placed.get(victim.metadata.uid)!);
      return;
    }
    const kept = state.nominationOf(uid);
    commit(pod, decision.node, rules);
    state.assume(pod, decision.node);
    waiting.delete(uid);
    queue.done(uid);
    setPod(undefined, boundTo(pod, decision.node));
    if (kept !== undefined && kept !== decision.node) queue.notice({ type: 'PodDelete', before: pod, node: kept });
  }
  function loseNomination(pod: Pod): void {
    const kept = state.nominationOf(pod.metadata.uid);
    if (kept === undefined) return;
    const { nominatedNodeName: _gone, ...status } = pod.status;
    waiting.set(pod.metadata.uid, { ...pod, status });
    state.nominate(pod.metadata.uid, undefined);
    queue.add({ ...pod, status });
    queue.notice({ type: 'PodDelete', before: pod, node: kept });
  }
  function terminate(pod: Pod): void {
    if (pod.metadata.deletionTimestamp) return;
    setPod(pod, { ...pod, metadata: { ...pod.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
  }

  const pick = <T>(map: ReadonlyMap<string, T>, number: number): T | undefined =>
    [...map.values()][number % (map.size || 1)];

  return {
    clock,
    waiting,
    wait(pod: Pod): void {
      waiting.set(pod.metadata.uid, pod);
      queue.add(pod);
    },
    /** Everybody who is not at rest has had a decision. */
    async settle(): Promise<void> {
      for (let round = 0; round < 20 && queue.sizes.active + queue.sizes.backoff > 0; round++) {
        await clock.advance(11_000);
        for (let next = queue.take(); next; next = queue.take()) decide(next.pod);
      }
      expect(queue.sizes).toMatchObject({ active: 0, backoff: 0 });
    },
    take(given: Step): void {
      switch (given.do) {
        case 'node':
          setNode(given.shape.name, nodeOf(given.shape));
          return;
        case 'no node':
          setNode(given.name, undefined);
          return;
        case 'pod':
          setPod(undefined, boundTo(podOf(given.shape), given.node));
          return;
        case 'team': {
          state.setNamespace('other', given.red ? { team: 'red' } : {});
          queue.notice({ type: 'NamespaceLabel', after: objectOf('Namespace', 'v1', 'other', {}) });
          return;
        }
        case 'claim': {
          const spec = {
            accessModes: [given.alone ? 'ReadWriteOncePod' : 'ReadWriteOnce'],
            storageClassName: 'disk',
            ...(given.to ? { volumeName: given.to } : {}),
          };
          setObject(
            'PersistentVolumeClaim',
            objectOf('PersistentVolumeClaim', 'v1', given.name, { spec }, 'default'),
            given.gone,
          );
          return;
        }
        case 'volume': {
          const spec = {
            accessModes: ['ReadWriteOnce', 'ReadWriteOncePod'],
            storageClassName: 'disk',
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [given.host] }] },
                ],
              },
            },
            ...(given.holder ? { claimRef: { namespace: 'default', name: given.holder } } : {}),
          };
          const status = { phase: 'Available' };
          setObject('PersistentVolume', objectOf('PersistentVolume', 'v1', given.name, { spec, status }), given.gone);
          return;
        }
        case 'class': {
          const fields = {
            volumeBindingMode: given.waits ? 'WaitForFirstConsumer' : 'Immediate',
            provisioner: given.provisions ? 'example.com/disk' : 'kubernetes.io/no-provisioner',
          };
          setObject('StorageClass', objectOf('StorageClass', 'storage.k8s.io/v1', 'disk', fields), false);
          return;
        }
        case 'forget nomination': {
          const pod = pick(waiting, given.which);
          if (pod) loseNomination(pod);
          return;
        }
        default: {
          const pod = pick(placed, given.which);
          if (!pod) return;
          const [main] = pod.spec.containers;
          if (given.do === 'end') setPod(pod, undefined);
          else if (given.do === 'terminate') terminate(pod);
          else if (given.do === 'finish') setPod(pod, { ...pod, status: { ...pod.status, phase: 'Succeeded' } });
          else if (given.do === 'relabel')
            setPod(pod, {
              ...pod,
              metadata: { ...pod.metadata, labels: { app: pod.metadata.labels!.app === 'db' ? 'web' : 'db' } },
            });
          else
            setPod(pod, {
              ...pod,
              spec: { ...pod.spec, containers: [{ ...main!, resources: { requests: { cpu: '100m' } } }] },
            });
        }
      }
    },
    /** Pods at rest that would have a place, or a way to one, if they were asked. */
    missed: (): string[] =>
      [...waiting.values()].flatMap(pod => {
        const decision = schedule(pod, state, rules);
        const name = `${pod.metadata.name}: ${JSON.stringify([pod.metadata, pod.spec])}`;
        if (decision.outcome === 'placed') return `${name} fits on ${decision.node}`;
        return decision.preemption ? `${name} may preempt on ${decision.preemption.node}` : [];
      }),
  };
}

it('leaves nobody at rest who could be placed or could preempt', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(nodeShape, { minLength: 1, maxLength: 4 }),
      fc.array(fc.record({ shape: podShape, node: fc.constantFrom(...nodeNames) }), { maxLength: 8 }),
      fc.array(podShape, { minLength: 1, maxLength: 6 }),
      fc.array(step, { minLength: 1, maxLength: 14 }),
      async (nodes, there, pods, steps) => {
        const of = cluster();
        for (const shape of nodes) of.take({ do: 'node', shape });
        for (const { shape, node } of there) of.take({ do: 'pod', shape, node });
        for (const shape of pods) of.wait(podOf(shape));
        await of.settle();
        for (const each of steps) {
          of.take(each);
          await of.settle();
          expect(of.missed(), `after ${JSON.stringify(each)}`).toEqual([]);
        }
      },
    ),
    { numRuns: Number(process.env['SCHEDULER_RUNS'] ?? 400) },
  );
}, 120_000);
