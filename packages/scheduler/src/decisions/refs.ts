/** Addresses and forms of `scheduling.orbitkit.dev/v1`, for those who speak it over the API. */
import type { DynamicObject, NamespacedMeta, ResourceRef } from '@orbitkit/core';
import type { Explanation } from '../explain.js';

const group = { group: 'scheduling.orbitkit.dev', version: 'v1' } as const;

/** What a scheduler decided for a pod, under the pod's name; created, it asks what would be decided now. */
export interface SchedulingDecision {
  readonly apiVersion: string;
  readonly kind: 'SchedulingDecision';
  readonly metadata: NamespacedMeta;
  readonly spec: {
    /** Of a question: the pod, which need not exist. */
    readonly pod?: Readonly<Record<string, unknown>>;
  };
  readonly status?: DecisionStatus;
}

export interface DecisionStatus extends Omit<Explanation, 'nodes'> {
  readonly scheduler: string;
  readonly podUID?: string;
  /** RFC 3339. */
  readonly decidedAt: string;
  /** Absent in lists. */
  readonly nodes?: Explanation['nodes'];
  /** Verdicts left out: there are very many nodes. */
  readonly nodesOmitted?: number;
}

/** The virtual resource `schedulingdecisions`, one for each pod that a scheduler remembers. */
export const schedulingDecisions: ResourceRef<SchedulingDecision & DynamicObject> = {
  ...group,
  kind: 'SchedulingDecision',
  plural: 'schedulingdecisions',
  namespaced: true,
};

/** A scheduler's side of the talk: it brings answers and waits for questions. */
export interface SchedulerSession {
  readonly spec: {
    readonly scheduler: string;
    /** One start of one scheduler. */
    readonly session: string;
    readonly answers: readonly Answer[];
  };
  readonly status?: { readonly questions: readonly Question[] };
}

export const schedulerSessions: ResourceRef<DynamicObject> = {
  ...group,
  kind: 'SchedulerSession',
  plural: 'schedulersessions',
  namespaced: false,
};

export type Question = { readonly id: string } & (
  | { readonly ask: 'kept'; readonly namespace: string; readonly name: string }
  | { readonly ask: 'list'; readonly namespace?: string }
  | { readonly ask: 'now'; readonly namespace: string; readonly pod: Readonly<Record<string, unknown>> }
);

export interface Answer {
  readonly id: string;
  readonly decisions?: readonly DecisionAnswer[];
  /** The question makes no sense, or a plugin failed. */
  readonly problem?: string;
}

export interface DecisionAnswer {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: DecisionStatus;
}
