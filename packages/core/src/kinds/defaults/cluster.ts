/** Defaults of Namespaces, Nodes and Secrets. Source: core/v1 defaults and conversion (v0.33). */
import type { corev1 } from '../generated/types/index.js';

/** Namespaces can be selected by their name. */
const nameLabel = 'kubernetes.io/metadata.name';

export function defaultNamespace(namespace: corev1.Namespace): void {
  const { metadata } = namespace;
  namespace.status.phase ??= 'Active';
  if (!metadata.name || metadata.labels?.[nameLabel] === metadata.name) return;
  metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name };
}

export function defaultNode({ status }: corev1.Node): void {
  if (status.capacity) status.allocatable ??= { ...status.capacity };
}

/** `stringData` is for writing only: it becomes `data`, over what is there. */
export function defaultSecret(secret: corev1.Secret): void {
  secret.type ||= 'Opaque';
  if (secret.stringData === undefined) return;
  const data: Record<string, string> = { ...secret.data };
  for (const key in secret.stringData) data[key] = Buffer.from(secret.stringData[key]!).toString('base64');
  delete secret.stringData;
  if (Object.keys(data).length > 0) secret.data = data;
}
