/** Where a node's agent is, and how it is recognised: read from its Node object alone. */
import { type DynamicObject, StatusError } from '@orbitkit/core';
import type { Backend, ClientCertificate } from './backend.js';

/** Annotation of a Node: lower-case hex SHA-256 of the DER certificate with which its agent serves. */
export const servingCertificateAnnotation = 'orbitkit.dev/serving-certificate-sha256';

/** In order of preference (kube-apiserver's `--kubelet-preferred-address-types` prefers the name; agents here publish addresses). */
const addressTypes = ['InternalIP', 'Hostname'];

/** @throws StatusError ServiceUnavailable when the Node does not say enough. */
export function agentOf(node: DynamicObject, client: ClientCertificate | undefined): Backend {
  const name = node.metadata.name;
  const missing = (what: string) =>
    new StatusError(
      'ServiceUnavailable',
      `node ${name} has no agent to ask: its Node object has no ${what} (is the agent running?)`,
    );
  const addresses: { type: string; address: string }[] = node['status']?.addresses ?? [];
  const host = addressTypes.map(type => addresses.find(address => address.type === type)?.address).find(Boolean);
  if (!host) throw missing('address of type InternalIP or Hostname in status.addresses');
  const port: unknown = node['status']?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (typeof port !== 'number' || port < 1 || port > 65_535)
    throw missing('port in status.daemonEndpoints.kubeletEndpoint');
  const sha256 = node.metadata.annotations?.[servingCertificateAnnotation];
  if (!sha256) throw missing(`annotation ${servingCertificateAnnotation}`);
  return { what: `the agent of node ${name}`, host, port, tls: { sha256, ...(client ? { client } : {}) } };
}
