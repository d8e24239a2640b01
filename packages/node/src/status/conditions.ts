/**
 * The conditions that a node writes on its pods: PodReadyToStartContainers, Initialized, ContainersReady, Ready, PodScheduled, and
 * our own Limited. Others' conditions are left as they are. Reasons and messages: kubernetes `pkg/kubelet/status`.
 */
import { type corev1, isConditionTrue, type Pod, removeCondition, setCondition } from '@orbitkit/core';
import { conditions as ownConditions } from '../agent/labels.js';
import { isSidecar } from '../pod-worker/pod-state.js';
import { isInitialized, type Phase } from './phase.js';

export interface ConditionsInput {
  pod: Pod;
  phase: Phase;
  init: readonly corev1.ContainerStatus[];
  apps: readonly corev1.ContainerStatus[];
  sandboxReady: boolean;
  /** Why there is no sandbox: volumes that cannot be mounted, no address left. */
  blocked?: string;
  limitations: readonly string[];
  now: number;
}

type Condition = corev1.PodCondition;

const holds = (type: string): Condition => ({ type, status: 'True' });
const fails = (type: string, reason: string, message?: string): Condition => ({
  type,
  status: 'False',
  reason,
  ...(message ? { message } : {}),
});

export function conditionsOf(input: ConditionsInput, current: readonly Condition[] | undefined): Condition[] {
  const { pod, now, limitations } = input;
  let result = [...(current ?? [])];
  const put = (condition: Condition) => {
    // A reason that no longer applies must not stay beside the new status.
    const before = result.find(({ type }) => type === condition.type);
    const kept = before && before.status === condition.status ? before.lastTransitionTime : undefined;
    result = setCondition(
      removeCondition(result, condition.type),
      { ...condition, ...(kept ? { lastTransitionTime: kept } : {}) },
      now,
    );
  };
  if (limitations.length > 0) {
    put({ type: ownConditions.limited, status: 'True', reason: 'NotSupported', message: limitations.join('; ') });
  } else {
    result = removeCondition(result, ownConditions.limited);
  }
  put(
    input.sandboxReady
      ? holds('PodReadyToStartContainers')
      : {
          type: 'PodReadyToStartContainers',
          status: 'False',
          ...(input.blocked ? { reason: 'Blocked', message: input.blocked } : {}),
        },
  );
  put(initialized(input));
  const containersReady = containersReadyOf(input);
  put(containersReady);
  put(readyOf(pod, containersReady, result));
  if (!result.some(({ type }) => type === 'PodScheduled')) put(holds('PodScheduled'));
  return order(result);
}

function initialized({ pod, phase, init }: ConditionsInput): Condition {
  if (isInitialized(pod, init)) return holds('Initialized');
  if (phase === 'Succeeded') return { ...holds('Initialized'), reason: 'PodCompleted' };
  const names = (pod.spec.initContainers ?? [])
    .filter(spec => {
      const status = init.find(({ name }) => name === spec.name);
      return isSidecar(spec) ? !status?.started : status?.state?.terminated?.exitCode !== 0;
    })
    .map(({ name }) => name);
  return fails('Initialized', 'ContainersNotInitialized', `containers with incomplete status: [${names.join(' ')}]`);
}

function containersReadyOf({ pod, phase, init, apps }: ConditionsInput): Condition {
  const type = 'ContainersReady';
  if (phase === 'Succeeded') return fails(type, 'PodCompleted');
  if (phase === 'Failed') return fails(type, 'PodFailed');
  const sidecars = init.filter(({ name }) =>
    (pod.spec.initContainers ?? []).some(spec => spec.name === name && isSidecar(spec)),
  );
  const unready = [...sidecars, ...apps].filter(({ ready }) => !ready).map(({ name }) => name);
  return unready.length === 0
    ? holds(type)
    : fails(type, 'ContainersNotReady', `containers with unready status: [${unready.join(' ')}]`);
}

function readyOf(pod: Pod, containersReady: Condition, all: readonly Condition[]): Condition {
  if (containersReady.status !== 'True') return { ...containersReady, type: 'Ready' };
  const closed = (pod.spec.readinessGates ?? []).filter(({ conditionType }) => !isConditionTrue(all, conditionType));
  if (closed.length === 0) return holds('Ready');
  const messages = closed.map(({ conditionType }) =>
    all.some(({ type }) => type === conditionType)
      ? `the status of pod readiness gate "${conditionType}" is not "True"`
      : `corresponding condition of pod readiness gate "${conditionType}" does not exist.`,
  );
  return fails('Ready', 'ReadinessGatesNotReady', messages.join(', '));
}

const printed = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady', 'PodScheduled'];

/** In the order in which people are used to read them; others' after them, as they came. */
function order(conditions: readonly Condition[]): Condition[] {
  const rank = ({ type }: Condition) => (printed.includes(type) ? printed.indexOf(type) : printed.length);
  return [...conditions].sort((a, b) => rank(a) - rank(b));
}
