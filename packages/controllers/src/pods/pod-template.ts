import type { corev1 } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

/** A template as it lies in a cache. */
export type PodTemplateSpec = DeepReadonly<corev1.PodTemplateSpec>;
