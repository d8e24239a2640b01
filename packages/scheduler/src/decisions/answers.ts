/** What a live scheduler says of its decisions: those it keeps, and what it would decide now, by its own plugins in the cluster as it knows it. */
import { type Clock, formatTime, Pod } from '@orbitkit/core';
import { explanationOf } from '../explain.js';
import type { Profile } from '../framework/profile.js';
import type { DecisionLog, DecisionRecord } from '../live/decision-log.js';
import { schedule } from '../schedule.js';
import type { ClusterState } from '../snapshot/cluster-state.js';
import type { DecisionAnswer, DecisionStatus, Question } from './refs.js';

export interface AnswersOptions {
  readonly scheduler: string;
  readonly clock: Clock;
  readonly decisions: DecisionLog;
  readonly state: ClusterState;
  profileOf(pod: Pod): Profile | undefined;
}

/** A request's body is limited, and so are readers. */
const mostNodes = 2_000;

export function answersOf({ scheduler, clock, decisions, state, profileOf }: AnswersOptions) {
  const kept = (
    { namespace, name, labels, uid, time, nodes, ...rest }: DecisionRecord,
    detailed: boolean,
  ): DecisionAnswer => ({
    namespace,
    name,
    labels,
    status: { scheduler, podUID: uid, decidedAt: time, ...rest, ...(detailed ? bounded(nodes) : {}) },
  });

  function now(namespace: string, given: Readonly<Record<string, unknown>>): DecisionAnswer[] {
    const { object: pod } = Pod.decode(structuredClone(given));
    Pod.applyDefaults(pod);
    pod.metadata.namespace = namespace;
    pod.metadata.uid ??= '';
    pod.metadata.name ??= pod.metadata.generateName ?? '';
    const rules = profileOf(pod);
    if (!rules) return [];
    const { nodeName: _node, ...spec } = pod.spec;
    const { nominatedNodeName: _nominated, ...status } = pod.status ?? {};
    const asked = { ...pod, spec, status };
    const placed = state.nodeOf(pod.metadata.uid);
    // One that runs is asked about as if it were not there yet.
    const decision = placed
      ? state.suppose(change => {
          change.remove(pod);
          return schedule(asked, state, rules, { allNodes: true, withoutPostFilter: true });
        })
      : schedule(asked, state, rules, { allNodes: true });
    const { nodes, ...rest } = explanationOf(decision);
    return [
      {
        namespace,
        name: pod.metadata.name,
        labels: pod.metadata.labels ?? {},
        status: { scheduler, decidedAt: formatTime(clock.now()), ...rest, ...bounded(nodes) },
      },
    ];
  }

  return (question: Question): readonly DecisionAnswer[] => {
    if (question.ask === 'now') return now(question.namespace, question.pod);
    if (question.ask === 'kept') {
      const record = decisions.get(question.namespace, question.name);
      return record ? [kept(record, true)] : [];
    }
    const { namespace } = question;
    return decisions
      .list()
      .filter(record => !namespace || record.namespace === namespace)
      .map(record => kept(record, false));
  };
}

function bounded(nodes: NonNullable<DecisionStatus['nodes']>): Pick<DecisionStatus, 'nodes' | 'nodesOmitted'> {
  if (nodes.length <= mostNodes) return { nodes };
  return { nodes: nodes.slice(0, mostNodes), nodesOmitted: nodes.length - mostNodes };
}
