/**
 * Deletes Jobs some time after they have ended (`spec.ttlSecondsAfterFinished`), with what they own. A last look at the live object comes first: the time may
 * have been changed meanwhile. Source of the rules: kube-controller-manager `ttlafterfinished_controller.go`.
 */
import { findCondition, isDeleting, isNotFound, Job, parseTime } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controller } from '../../controller-builder.js';
import { isFinished } from '../job/job-plan.js';

/** Everything has upstream's default. */
export interface TtlAfterFinishedOptions {
  /** Jobs looked at at the same time. Default 5 (`--concurrent-ttl-after-finished-syncs`). */
  concurrency?: number;
}

/** The controller `ttl-after-finished-controller`. */
export function ttlAfterFinished({ concurrency = 5 }: TtlAfterFinishedOptions = {}): Controller {
  return controller(Job)
    .named('ttl-after-finished-controller')
    .concurrency(concurrency)
    .reconcile(async ({ object, client, clock }) => {
      const waits = leftMs(object, clock.now());
      if (waits === undefined || isDeleting(object)) return undefined;
      if (waits > 0) return { requeueAfter: waits };
      const { name, namespace, uid } = object.metadata;
      try {
        const live = await client.get(Job, { name, namespace });
        const left = leftMs(live, clock.now());
        if (live.metadata.uid !== uid || left === undefined) return undefined;
        if (left > 0) return { requeueAfter: left };
        const { resourceVersion } = live.metadata;
        await client.delete(
          Job,
          { name, namespace },
          { propagationPolicy: 'Foreground', preconditions: { uid, resourceVersion } },
        );
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    });
}

/** Undefined: it has not ended, or stays. */
function leftMs(job: Job, now: number): number | undefined {
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined || !isFinished(job)) return undefined;
  const end = ['Complete', 'Failed']
    .map(type => findCondition(job.status.conditions, type))
    .find(each => each?.status === 'True');
  return (parseTime(end?.lastTransitionTime) ?? now) + ttlSecondsAfterFinished * 1000 - now;
}
