/**
 * Variables that name the services of a pod's namespace, as Docker links once did: `WEB_SERVICE_HOST`, `WEB_SERVICE_PORT`,
 * `WEB_SERVICE_PORT_<NAME>`, and the seven link variables of each port.
 *
 * Headless services have none. The service `kubernetes` of the default namespace is there for every pod; the others only
 * with `enableServiceLinks`, and the pod's own namespace wins. Source: kubernetes `pkg/kubelet/envvars`.
 */
import type { Pod, Service } from '@orbitkit/core';

const envName = (text: string): string => text.toUpperCase().replaceAll('-', '_');

function variablesOf(service: Service): Record<string, string> {
  const host = service.spec.clusterIP;
  const ports = service.spec.ports ?? [];
  if (!host || host === 'None' || ports.length === 0) return {};
  const prefix = envName(service.metadata.name);
  const result: Record<string, string> = {
    [`${prefix}_SERVICE_HOST`]: host,
    [`${prefix}_SERVICE_PORT`]: String(ports[0]!.port),
  };
  for (const port of ports) if (port.name) result[`${prefix}_SERVICE_PORT_${envName(port.name)}`] = String(port.port);
  const bracketed = host.includes(':') ? `[${host}]` : host;
  ports.forEach((port, index) => {
    const protocol = port.protocol ?? 'TCP';
    const url = `${protocol.toLowerCase()}://${bracketed}:${port.port}`;
    const link = `${prefix}_PORT_${port.port}_${protocol}`;
    if (index === 0) result[`${prefix}_PORT`] = url;
    result[link] = url;
    result[`${link}_PROTO`] = protocol.toLowerCase();
    result[`${link}_PORT`] = String(port.port);
    result[`${link}_ADDR`] = host;
  });
  return result;
}

/** @param services Those of the pod's namespace and the default namespace; others are left out. */
export function serviceVariables(pod: Pod, services: readonly Service[]): Record<string, string> {
  const result: Record<string, string> = {};
  const own = pod.metadata.namespace;
  for (const service of services) {
    const { namespace, name } = service.metadata;
    if (namespace === 'default' && name === 'kubernetes' && own !== 'default')
      Object.assign(result, variablesOf(service));
  }
  for (const service of services) {
    const { namespace, name } = service.metadata;
    const wanted = pod.spec.enableServiceLinks !== false || (namespace === 'default' && name === 'kubernetes');
    if (namespace === own && wanted) Object.assign(result, variablesOf(service));
  }
  return result;
}
