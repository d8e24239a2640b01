/**
 * What the scheduler tells of its decisions, as kube-scheduler does: events.k8s.io/v1 with action and series, reported by the profile's scheduler name. A
 * pod that is refused for another reason than before gets another event: `describe` is where people look why a pod waits.
 */
import { hostname } from 'node:os';
import { type Client, type Clock, type EventSeriesRecorder, eventSeriesRecorder, type Pod } from '@orbitkit/core';

export interface SchedulerEvents {
  scheduled(pod: Pod, node: string): void;
  /** Refused by plugins, or something went wrong on the way. */
  failed(pod: Pod, note: string): void;
  preempted(victim: Pod, by: Pod, node: string): void;
  flush(): Promise<void>;
}

/** Length that the API allows `reportingInstance`. */
const instanceLimit = 128;

export function schedulerEvents(options: { client: Client; clock: Clock; signal: AbortSignal }): SchedulerEvents {
  const recorders = new Map<string, EventSeriesRecorder>();
  function recorderOf(pod: Pod): EventSeriesRecorder {
    const controller = pod.spec.schedulerName ?? 'default-scheduler';
    let recorder = recorders.get(controller);
    if (!recorder) {
      const instance = `${controller}-${hostname()}`.slice(0, instanceLimit);
      recorder = eventSeriesRecorder({ ...options, controller, instance, byNote: true });
      recorders.set(controller, recorder);
    }
    return recorder;
  }
  return {
    scheduled(pod, node) {
      const { namespace, name } = pod.metadata;
      const note = `Successfully assigned ${namespace}/${name} to ${node}`;
      recorderOf(pod).event({ about: pod, type: 'Normal', reason: 'Scheduled', action: 'Binding', note });
    },
    failed(pod, note) {
      recorderOf(pod).event({ about: pod, type: 'Warning', reason: 'FailedScheduling', action: 'Scheduling', note });
    },
    preempted(victim, by, node) {
      const note = `Preempted by pod ${by.metadata.uid} on node ${node}`;
      recorderOf(by).event({
        about: victim,
        related: by,
        type: 'Normal',
        reason: 'Preempted',
        action: 'Preempting',
        note,
      });
    },
    async flush() {
      for (const recorder of recorders.values()) await recorder.flush();
    },
  };
}
