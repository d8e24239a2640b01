/** The kinds of `scheduling.orbitkit.dev/v1` as an API server serves them: asked and computed, never stored. */
import type { Kind } from '@orbitkit/core';
import { defineKind } from '@orbitkit/core/zod';
import { z } from 'zod';
import { schedulerSessions, schedulingDecisions } from './refs.js';

const anything = z.record(z.string(), z.unknown());
const texts = z.array(z.string());

const verdict = z.object({
  node: z.string(),
  status: z.string().meta({ description: "kube-scheduler's status code: Success, Unschedulable, …" }),
  plugin: z.string().optional().meta({ description: 'who refused the node' }),
  reasons: texts.optional(),
  total: z.number().optional().meta({ description: 'sum of the scores by weight' }),
  scores: z.record(z.string(), z.number()).optional().meta({ description: 'by plugin, before the weight' }),
});

const status = z.object({
  scheduler: z.string(),
  podUID: z.string().optional(),
  decidedAt: z.string().meta({ format: 'date-time' }),
  outcome: z.enum(['placed', 'unschedulable']),
  node: z.string().optional(),
  message: z.string().optional(),
  preemption: z.object({ node: z.string(), victims: texts }).optional(),
  examined: z.int().meta({ description: 'nodes that were looked at' }),
  feasible: z.int().meta({ description: 'how many of them can take the pod' }),
  nodes: z.array(verdict).optional().meta({ description: 'best first, then the refused ones; not in lists' }),
  nodesOmitted: z.int().optional(),
});

const decision = defineKind({
  ...schedulingDecisions,
  kind: 'SchedulingDecision',
  namespaced: true,
  shortNames: ['decision', 'decisions'],
  spec: z.object({ pod: anything.optional().meta({ description: 'what would be decided for this pod now' }) }),
  status,
  columns: [
    { name: 'Outcome', value: '.status.outcome' },
    { name: 'Node', value: '.status.node' },
    {
      name: 'Feasible',
      value: ({ status: of }) => (of ? `${of.feasible}/${of.examined}` : ''),
      description: 'Nodes that can take the pod, of those that were looked at',
    },
    { name: 'Decided', value: '.status.decidedAt', type: 'date' },
    { name: 'Scheduler', value: '.status.scheduler', wide: true },
    { name: 'Message', value: '.status.message', wide: true },
  ],
});

const session = defineKind({
  ...schedulerSessions,
  kind: 'SchedulerSession',
  namespaced: false,
  spec: z.object({ scheduler: z.string(), session: z.string().min(1), answers: z.array(anything).default([]) }),
  status: z.object({ questions: z.array(anything) }),
});

export const decisionKind: Kind<any> = { ...decision, verbs: ['create', 'get', 'list'], virtual: true };
export const sessionKind: Kind<any> = { ...session, verbs: ['create'], virtual: true };
