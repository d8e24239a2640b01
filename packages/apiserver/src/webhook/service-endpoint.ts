/**
 * Where a Service is answered: one of its ready endpoints, at the port that the Service's port leads to. The server asks endpoints directly:
 * it may stand where the cluster's own addresses lead nowhere.
 */
import type { admissionregistrationv1, corev1, discoveryv1 } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionReader } from '../admission/contract.js';

export type ServiceReader = Pick<AdmissionCluster, 'list'>;

const services = { group: '', plural: 'services' };
const slices = { group: 'discovery.k8s.io', plural: 'endpointslices' };
const serviceLabel = 'kubernetes.io/service-name';

let turn = 0;

/** @throws Error that says what is missing. */
export async function serviceEndpoint(
  { namespace, name, port = 443 }: admissionregistrationv1.ServiceReference,
  cluster: AdmissionReader & ServiceReader,
  signal: AbortSignal,
): Promise<{ host: string; port: number }> {
  const key = { namespace, name };
  const stored = cluster.peek(services, key) ?? (await cluster.read(services, key, signal));
  if (!stored) throw new Error(`service "${name}" not found in namespace "${namespace}"`);
  const { spec } = stored.object() as unknown as corev1.Service;
  if (spec.type === 'ExternalName' && spec.externalName) return { host: spec.externalName, port };
  const servicePort = spec.ports?.find(each => each.port === port);
  if (!servicePort) throw new Error(`service "${name}" in namespace "${namespace}" has no port ${port}`);
  const all = await cluster.list(slices, namespace, signal);
  const found: { host: string; port: number }[] = [];
  for (const item of all) {
    const slice = item.object() as unknown as discoveryv1.EndpointSlice;
    if (slice.metadata.labels?.[serviceLabel] !== name) continue;
    const target = slice.ports?.find(each => (each.name ?? '') === (servicePort.name ?? ''))?.port;
    if (target === undefined) continue;
    for (const endpoint of slice.endpoints ?? []) {
      if (endpoint.conditions?.ready === false) continue;
      for (const host of endpoint.addresses.slice(0, 1)) found.push({ host, port: target });
    }
  }
  const chosen = found[turn++ % Math.max(1, found.length)];
  if (!chosen) throw new Error(`no endpoints available for service "${name}" in namespace "${namespace}"`);
  return chosen;
}
