/**
 * Jobs: each selects its pods by its own uid, which the template carries, so that no job takes another's pods for its own.
 * Source: batch registry `job/strategy.go` `generateSelector` (v0.33).
 */
import type { batchv1 } from '@orbitkit/core';
import type { Strategy } from '../strategy.js';

/** The second of each pair is the name of older versions. */
const uidLabels = ['batch.kubernetes.io/controller-uid', 'controller-uid'] as const;
const nameLabels = ['batch.kubernetes.io/job-name', 'job-name'] as const;

export const jobStrategy: Strategy = {
  orphansByDefault: {
    warning:
      'child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning',
  },
  prepareCreate(object) {
    const { metadata, spec } = object as unknown as batchv1.Job;
    if (spec.manualSelector || !spec.template) return;
    spec.template.metadata ??= {};
    spec.template.metadata.labels ??= {};
    const { labels } = spec.template.metadata;
    // What is there already stays: rules find out whether it fits.
    for (const label of uidLabels) labels[label] ??= metadata.uid;
    for (const label of nameLabels) labels[label] ??= metadata.name;
    spec.selector ??= {};
    spec.selector.matchLabels ??= {};
    spec.selector.matchLabels[uidLabels[0]] ??= metadata.uid;
  },
};
