/**
 * Events of group events.k8s.io, stored as those of the core group: the same fields under other names.
 * Source: events/v1 conversion (v0.33).
 */
import type { KubeObject } from '../../meta/object.js';
import type { corev1, eventsv1 } from '../generated/types/index.js';
import type { StorageForm } from '../kind.js';

/** events.k8s.io/v1 -> core/v1 */
const names: readonly (readonly [keyof eventsv1.Event, keyof corev1.Event])[] = [
  ['reportingController', 'reportingComponent'],
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];
const toCore = new Map<string, string>(names);
const fromCore = new Map<string, string>(names.map(([ours, theirs]) => [theirs, ours]));

function renamed(object: Readonly<KubeObject>, apiVersion: string, by: ReadonlyMap<string, string>): KubeObject {
  const made: Record<string, unknown> = { kind: 'Event', apiVersion };
  for (const [name, value] of Object.entries(object)) {
    if (name !== 'apiVersion' && name !== 'kind') made[by.get(name) ?? name] = value;
  }
  return made as unknown as KubeObject;
}

export const eventsV1: Omit<StorageForm<eventsv1.Event>, 'kind'> = {
  toStorage: event => renamed(event, 'v1', toCore),
  fromStorage: event => renamed(event, 'events.k8s.io/v1', fromCore) as eventsv1.Event,
};
