/**
 * The downward API's fields: what a container may know of its own pod.
 *
 * Environment variables may name single labels and annotations; files may also hold all of them, one `key="value"` a line,
 * sorted. Paths: kubernetes `pkg/fieldpath` and the pod worker's own (`status.podIP`, `spec.nodeName`, …).
 */
import type { Pod } from '@orbitkit/core';

/** What only the node knows while a container is being started. */
export interface PodPlace {
  nodeName: string;
  hostIPs: readonly string[];
  podIPs: readonly string[];
}

const keyed = /^metadata\.(labels|annotations)\['([^']+)'\]$/;

const quoted = (values: Readonly<Record<string, string>> = {}): string =>
  Object.keys(values)
    .sort()
    .map(key => `${key}=${JSON.stringify(values[key])}`)
    .join('\n');

/** @returns the value, `''` for a field that is empty, undefined for a path that does not exist. */
export function fieldValue(pod: Pod, fieldPath: string, place: PodPlace): string | undefined {
  const key = keyed.exec(fieldPath);
  if (key) return pod.metadata[key[1] as 'labels' | 'annotations']?.[key[2]!] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return pod.metadata.name;
    case 'metadata.namespace':
      return pod.metadata.namespace;
    case 'metadata.uid':
      return pod.metadata.uid;
    case 'metadata.labels':
      return quoted(pod.metadata.labels);
    case 'metadata.annotations':
      return quoted(pod.metadata.annotations);
    case 'spec.nodeName':
      return place.nodeName;
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? '';
    case 'status.hostIP':
      return place.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return place.hostIPs.join(',');
    case 'status.podIP':
      return place.podIPs[0] ?? '';
    case 'status.podIPs':
      return place.podIPs.join(',');
    default:
      return undefined;
  }
}
