/**
 * A client that reads only metadata: the server sends `PartialObjectMetadata`, so that watching every kind of a cluster
 * costs neither the bytes nor the memory of its secrets and config maps.
 */
import { type Client, createClient, type PartialObjectMetadata, type Transport } from '@orbitkit/core';

export type { PartialObjectMetadata };

const form = (as: string) => `application/json;as=${as};g=meta.k8s.io;v=v1,application/json`;

export function metadataClient(transport: Transport): Client {
  return createClient({
    request(request) {
      if (request.method !== 'GET') return transport.request(request);
      const accept = form(isList(request.path, request.stream) ? 'PartialObjectMetadataList' : 'PartialObjectMetadata');
      return transport.request({ ...request, headers: { ...request.headers, accept } });
    },
    connect: (path, options) => transport.connect(path, options),
    close: () => transport.close(),
  });
}

/** `/api/v1/pods`, `/apis/apps/v1/namespaces/x/replicasets`: a collection; with a name after it, one object. */
function isList(path: string, stream: boolean | undefined): boolean {
  if (stream) return false;
  const parts = path.split('?')[0]!.split('/').filter(Boolean);
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest;
  return inNamespace.length === 1;
}
