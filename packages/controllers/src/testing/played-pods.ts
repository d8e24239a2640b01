/**
 * Plays scheduler and node agent for tests of controllers that only look at pods' status: binds every pod to a node of
 * that name, says that it runs and is ready, and lets it go when it is deleted. Nothing is run. For real pods compose the
 * scheduler and a node instead.
 */
import { type Clock, formatTime, isNotFound, Pod, systemClock } from '@orbitkit/core';
import type { Controller } from '../controller.js';
import { controller } from '../controller-builder.js';

/** Everything has a default; milliseconds. */
export interface PlayedPodsOptions {
  /** Default `played-node`. */
  nodeName?: string;
  /** How long a pod takes to get ready, in milliseconds; undefined: it never does. Default 0. */
  readyAfterMs?: (pod: Pod) => number | undefined;
  /** How long a pod takes to stop. Default 0. */
  stopAfterMs?: number;
  clock?: Clock;
}

/** A controller that plays the nodes' part. */
export function playedPods(options: PlayedPodsOptions = {}): Controller {
  const { nodeName = 'played-node', readyAfterMs = () => 0, stopAfterMs = 0, clock = systemClock } = options;
  const seen = new Map<string, number>();
  let lastAddress = 0;
  return controller(Pod)
    .named('played-pods')
    .concurrency(20)
    .reconcile(async ({ object, client }) => {
      const { uid, name, namespace } = object.metadata;
      const since = (what: string) => {
        const at = seen.get(`${uid} ${what}`) ?? clock.now();
        seen.set(`${uid} ${what}`, at);
        return clock.now() - at;
      };
      try {
        if (object.metadata.deletionTimestamp) {
          const left = stopAfterMs - since('stop');
          if (left > 0) return { requeueAfter: left };
          await client.delete(Pod, object.metadata, { gracePeriodSeconds: 0, preconditions: { uid } });
          return undefined;
        }
        if (!object.spec.nodeName) {
          const target = { kind: 'Node', name: nodeName };
          await client.createSubresource(Pod, object.metadata, 'binding', { metadata: { name, namespace }, target });
          return undefined;
        }
        if (object.status.phase !== 'Pending') return undefined;
        const after = readyAfterMs(object);
        if (after === undefined) return undefined;
        const left = after - since('start');
        if (left > 0) return { requeueAfter: left };
        const time = formatTime(clock.now());
        lastAddress += 1;
        await client.updateStatus(Pod, {
          ...object,
          status: {
            ...object.status,
            phase: 'Running',
            podIP: `10.244.${(lastAddress >> 8) & 255}.${lastAddress & 255}`,
            startTime: time,
            conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: time }],
          },
        });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    });
}
