/** What every cluster has from the start: the namespaces of the system, and what a composer adds. */
import { isAlreadyExists, isNotFound, type Kind, type KubeObject, Namespace } from '@orbitkit/core';
import type { RequestContext, Resources } from './contract.js';

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** An object that is created when it does not exist, and left as it is when it does. */
export interface SystemObject {
  readonly kind: Kind;
  readonly object: Pick<KubeObject, 'metadata'> & Record<string, unknown>;
}

export const systemNamespaceObjects: readonly SystemObject[] = systemNamespaces.map(name => ({
  kind: Namespace as unknown as Kind,
  object: { metadata: { name } as KubeObject['metadata'] },
}));

export async function ensureSystemObjects(
  resources: Resources,
  objects: readonly SystemObject[],
  signal: AbortSignal,
): Promise<void> {
  const context: RequestContext = {
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  };
  for (const { kind, object } of objects) {
    const { name, namespace } = object.metadata;
    try {
      await resources.get(context, kind, { name, namespace });
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await resources
        .create(context, kind, { namespace }, { value: JSON.parse(JSON.stringify(object)) })
        .catch(failure => {
          if (!isAlreadyExists(failure)) throw failure;
        });
    }
  }
}
