/**
 * Namespaces: they carry their name as a label, are emptied before they vanish (`spec.finalizers` holds `kubernetes` until a
 * controller has done so and says it at `/finalize`), and show that as phase Terminating. Source: core registry `namespace` (v0.33).
 */
import type { DynamicObject } from '@orbitkit/core';
import type { Strategy } from '../strategy.js';

const nameLabel = 'kubernetes.io/metadata.name';

function labelName(namespace: DynamicObject): void {
  const { metadata } = namespace;
  if (metadata.labels?.[nameLabel] === metadata.name || !metadata.name) return;
  metadata.labels = { ...metadata.labels, [nameLabel]: metadata.name };
}

export const namespaceStrategy: Strategy = {
  generation: false,
  prepareCreate(namespace) {
    namespace['status'] = { phase: 'Active' };
    const finalizers: string[] = namespace['spec']?.finalizers ?? [];
    if (!finalizers.includes('kubernetes')) finalizers.push('kubernetes');
    namespace['spec'] = { ...namespace['spec'], finalizers };
    if (namespace.metadata.name) labelName(namespace);
  },
  prepareUpdate(namespace, old) {
    // Only `/finalize` takes a namespace's own finalizers away.
    namespace['spec'] = old['spec'];
    labelName(namespace);
  },
  beginDeletion(namespace) {
    if ((namespace['spec']?.finalizers ?? []).length === 0) return false;
    namespace['status'] = { ...namespace['status'], phase: 'Terminating' };
    return true;
  },
  gone: namespace => (namespace['spec']?.finalizers ?? []).length === 0,
  parts: {
    finalize: (given, current) => ({
      ...current,
      spec: { ...current['spec'], finalizers: given['spec']?.finalizers ?? [] },
    }),
  },
};
