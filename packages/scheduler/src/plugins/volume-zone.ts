/**
 * A bound volume that carries zone or region labels can be used in those places only; several values are joined by `__`.
 * Source: the API's well-known labels; kube-scheduler's VolumeZone.
 */
import type { Plugin } from '../framework/plugin.js';
import { onNode } from '../framework/queueing-hints.js';
import { type Claim, claimsOf, claimsVersion, type Volume } from '../snapshot/volumes.js';
import { onOwnClaim, onUsableVolume } from './volume-hints.js';

const keys = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];
/** A node may have the label under its present name only. */
const successor: Readonly<Record<string, string>> = {
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
};
const refusal = { reasons: ['node(s) had no available volume zone'], unresolvable: true };

/** The plugin VolumeZone: a filter. */
export const volumeZone = (): Plugin => ({
  name: 'VolumeZone',
  events: [
    'NodeAdd',
    ...onNode(['NodeLabel'], (_pod, { node, before }) =>
      keys.some(key => node.metadata.labels?.[key] !== before?.metadata.labels?.[key]),
    ),
    ...onOwnClaim,
    ...onUsableVolume,
  ],
  sign: pod => claimsOf(pod).join(),
  compile(pod, snapshot) {
    const claims = claimsOf(pod);
    if (claims.length === 0) return undefined;
    const { objects } = snapshot;
    const version = claimsVersion(objects);
    const stale = () => claimsVersion(objects) !== version;
    const places: { key: string; values: ReadonlySet<string> }[] = [];
    for (const name of claims) {
      const { volumeName } = objects.get<Claim>('PersistentVolumeClaim', pod.metadata.namespace, name)?.spec ?? {};
      const labels =
        (volumeName && objects.get<Volume>('PersistentVolume', undefined, volumeName)?.metadata.labels) || {};
      for (const key of keys) if (labels[key]) places.push({ key, values: new Set(labels[key].split('__')) });
    }
    if (places.length === 0) return { stale };
    return {
      stale,
      filter: {
        scope: 'object',
        passes(slot) {
          const labels = snapshot.at(slot).node.metadata.labels ?? {};
          // A node without any such label is of a cluster without zones.
          if (!keys.some(key => labels[key] !== undefined)) return true;
          return places.every(({ key, values }) => values.has(labels[key] ?? labels[successor[key] ?? ''] ?? ''));
        },
        refusal: () => refusal,
      },
    };
  },
});
