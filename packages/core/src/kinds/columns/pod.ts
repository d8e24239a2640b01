/**
 * Columns of pods, and the one-word status that sums up a pod's containers: `Running`, `Init:1/2`, `CrashLoopBackOff`.
 * Source: printers `printPod` (1.33), as restated in data/printer-columns.json.
 */
import { findCondition, isConditionTrue } from '../../meta/conditions.js';
import type { corev1 } from '../generated/types/index.js';
import { ageOf } from '../human-duration.js';
import type { Column, RowCondition } from '../kind.js';
import { ageColumn, column, nameColumn, none } from './column.js';

/** A pod in a line, as `kubectl get pods` shows it. */
export interface PodSummary {
  /** What a person is shown: the phase, or the reason why it is not simply that. */
  readonly status: string;
  readonly ready: number;
  readonly total: number;
  readonly restarts: number;
  /** Finish of the latest run that was followed by a restart. */
  readonly lastRestart?: string;
}

/** Counts restarts and remembers when the last of them was due. */
class Restarts {
  count = 0;
  last: string | undefined;

  add(status: corev1.ContainerStatus): void {
    this.count += status.restartCount ?? 0;
    const finished = status.lastState?.terminated?.finishedAt;
    if (finished && (this.last === undefined || Date.parse(finished) > Date.parse(this.last))) this.last = finished;
  }
}

/** The status column and the counts of a pod. A pod without a status is summed up by its phase, the empty string. */
export function summarizePod(pod: corev1.Pod): PodSummary {
  const status = pod.status ?? {};
  const phase = status.phase ?? '';
  const gated = findCondition(status.conditions, 'PodScheduled')?.reason === 'SchedulingGated';
  let text: string = gated ? 'SchedulingGated' : status.reason || phase;
  const initContainers = pod.spec?.initContainers ?? [];
  const restartable = new Set(initContainers.filter(each => each.restartPolicy === 'Always').map(each => each.name));
  const total = (pod.spec?.containers?.length ?? 0) + restartable.size;
  let ready = 0;

  let restarts = new Restarts();
  const sidecars = new Restarts();
  let initializing: string | undefined;
  for (const [index, container] of (status.initContainerStatuses ?? []).entries()) {
    const { terminated, waiting } = container.state ?? {};
    const sidecar = restartable.has(container.name);
    restarts.add(container);
    if (sidecar) sidecars.add(container);
    if (terminated?.exitCode === 0) continue;
    if (sidecar && container.started) {
      if (container.ready) ready += 1;
      continue;
    }
    if (terminated) initializing = `Init:${endOf(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') initializing = `Init:${waiting.reason}`;
    else initializing = `Init:${index}/${initContainers.length}`;
    break;
  }
  if (initializing !== undefined) text = initializing;

  if (initializing === undefined || isConditionTrue(status.conditions, 'Initialized')) {
    restarts = sidecars;
    let running = false;
    for (const container of [...(status.containerStatuses ?? [])].reverse()) {
      const { terminated, waiting, running: runs } = container.state ?? {};
      restarts.add(container);
      if (waiting?.reason) text = waiting.reason;
      else if (terminated) text = endOf(terminated);
      else if (container.ready && runs) {
        running = true;
        ready += 1;
      }
    }
    if (text === 'Completed' && running) text = isConditionTrue(status.conditions, 'Ready') ? 'Running' : 'NotReady';
  }

  if (pod.metadata.deletionTimestamp) {
    if (status.reason === 'NodeLost') text = 'Unknown';
    else if (phase !== 'Succeeded' && phase !== 'Failed') text = 'Terminating';
  }
  return {
    status: text,
    ready,
    total,
    restarts: restarts.count,
    ...(restarts.last ? { lastRestart: restarts.last } : {}),
  };
}

function endOf(terminated: corev1.ContainerStateTerminated): string {
  if (terminated.reason) return terminated.reason;
  return terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`;
}

function restartsText({ restarts, lastRestart }: PodSummary, now: number): string {
  return restarts > 0 && lastRestart ? `${restarts} (${ageOf(lastRestart, now)} ago)` : String(restarts);
}

export const podColumns: readonly Column<corev1.Pod>[] = [
  nameColumn,
  column('Ready', 'Containers that are ready, of all.', pod => {
    const { ready, total } = summarizePod(pod);
    return `${ready}/${total}`;
  }),
  column('Status', 'The phase, or what the containers are up to.', pod => summarizePod(pod).status),
  column('Restarts', 'How often containers were restarted, and when last.', (pod, now) =>
    restartsText(summarizePod(pod), now),
  ),
  ageColumn,
  column('IP', 'Address of the pod.', ({ status }) => status?.podIPs?.[0]?.ip || status?.podIP || none, { wide: true }),
  column('Node', 'Node on which the pod is placed.', ({ spec }) => spec?.nodeName || none, { wide: true }),
  column(
    'Nominated Node',
    'Node on which room is being made for the pod.',
    ({ status }) => status?.nominatedNodeName || none,
    { wide: true },
  ),
  column(
    'Readiness Gates',
    'Further conditions for being ready that hold, of all.',
    ({ spec, status }) => {
      const gates = spec?.readinessGates ?? [];
      if (gates.length === 0) return none;
      return `${gates.filter(gate => isConditionTrue(status?.conditions, gate.conditionType)).length}/${gates.length}`;
    },
    { wide: true },
  ),
];

/** A pod that has ended marks its row, so that a client may leave it out or grey it. */
export function podRowConditions({ status }: corev1.Pod): RowCondition[] | undefined {
  const phase = status?.phase;
  if (phase !== 'Succeeded' && phase !== 'Failed') return undefined;
  const message = phase === 'Succeeded' ? 'The pod has completed successfully.' : 'The pod failed.';
  return [{ type: 'Completed', status: 'True', reason: phase, message }];
}
