/**
 * Keeps namespaces in order: nothing is created in one that does not exist or is on its way out, and the system's own stay.
 * Source: apiserver `admission/plugin/namespace/lifecycle`.
 */
import { type DynamicObject, notFound, StatusError } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from './contract.js';

const immortal = new Set(['default', 'kube-system', 'kube-public']);
const namespaces = { group: '', plural: 'namespaces' };

/** Upstream's NamespaceLifecycle. Refusals are 404 (no such namespace) and 403 (it is being deleted, or it may not be). */
export function namespaceLifecycle(): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    admit(request, reader) {
      const { kind, operation, subresource } = request;
      if (kind.group === '' && kind.plural === 'namespaces') {
        if (operation === 'DELETE' && immortal.has(request.name)) {
          throw forbidden(
            `namespaces "${request.name}" is forbidden: this namespace may not be deleted`,
            'namespaces',
            request.name,
          );
        }
        return;
      }
      if (operation !== 'CREATE' || subresource !== undefined || !request.namespace) return;
      const known = reader.peek(namespaces, { name: request.namespace });
      if (known !== undefined) {
        const object = known.object() as DynamicObject;
        // What is Active in the cache may have been deleted a moment ago; it is emptied after that, whatever is created now.
        if (object.metadata.deletionTimestamp === undefined) return;
      }
      return confirm(request, reader, request.namespace);
    },
  };
}

/** The cache does not know the namespace, or as one on its way out: ask the store. */
async function confirm(request: AdmissionRequest, reader: AdmissionReader, namespace: string): Promise<void> {
  const found = await reader.read(namespaces, { name: namespace }, request.signal);
  if (found === undefined) throw notFound(namespaces, namespace);
  if (found.object().metadata.deletionTimestamp === undefined) return;
  const { kind } = request;
  const resource = kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
  const text = `unable to create new content in namespace ${namespace} because it is being terminated`;
  throw new StatusError('Forbidden', `${resource} "${request.name}" is forbidden: ${text}`, {
    details: {
      name: request.name,
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.plural,
      causes: [
        {
          reason: 'NamespaceTerminating',
          message: `namespace ${namespace} is being terminated`,
          field: 'metadata.namespace',
        },
      ],
    },
  });
}

function forbidden(message: string, kind: string, name: string): StatusError {
  return new StatusError('Forbidden', message, { details: { name, kind } });
}
