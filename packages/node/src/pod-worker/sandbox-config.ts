/** From a pod to its sandbox: name, addresses, host ports, name resolution. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Pod } from '@orbitkit/core';
import { labels } from '../agent/labels.js';
import type { SandboxConfig } from '../runtime/contract.js';
import { containersOf, graceSecondsOf } from './pod-state.js';

export interface SandboxInput {
  pod: Pod;
  attempt: number;
  agentId: string;
  /** `<dataDir>/pods/<uid>`. */
  podDirectory: string;
  nodeHostname: string;
  podCIDR?: string;
  hostPortIP?: string;
  clusterDNS: readonly string[];
  clusterDomain: string;
}

export async function sandboxConfigOf(input: SandboxInput): Promise<SandboxConfig> {
  const { pod, attempt, agentId, podDirectory, podCIDR } = input;
  const { name, namespace, uid } = pod.metadata;
  const hostNetwork = pod.spec.hostNetwork === true;
  const dns = await dnsOf(input);
  const sysctls = Object.fromEntries((pod.spec.securityContext?.sysctls ?? []).map(({ name, value }) => [name, value]));
  return {
    name,
    namespace,
    uid,
    attempt,
    hostname: hostNetwork ? input.nodeHostname : hostnameOf(pod),
    labels: {
      ...pod.metadata.labels,
      [labels.agent]: agentId,
      [labels.podName]: name,
      [labels.podNamespace]: namespace,
      [labels.podUid]: uid,
      [labels.graceSeconds]: String(graceSecondsOf(pod)),
    },
    annotations: { ...pod.metadata.annotations },
    logDirectory: path.join(podDirectory, 'logs'),
    hostNetwork,
    ...(dns ? { dns } : {}),
    ...(podCIDR && !hostNetwork ? { podCIDR } : {}),
    portMappings: hostNetwork ? [] : portMappingsOf(pod, input.hostPortIP),
    ...(Object.keys(sysctls).length > 0 ? { sysctls } : {}),
  };
}

/** A host name has 63 characters at most, a pod's name 253: cut as upstream does. */
const hostnameOf = (pod: Pod): string => (pod.spec.hostname || pod.metadata.name).slice(0, 63).replace(/[-.]+$/, '');

function portMappingsOf(pod: Pod, defaultIP: string | undefined): SandboxConfig['portMappings'] {
  return containersOf(pod).flatMap(({ ports = [] }) =>
    ports
      .filter(port => port.hostPort && port.protocol !== 'SCTP')
      .map(({ containerPort, hostPort, hostIP = defaultIP, protocol }) => ({
        containerPort,
        hostPort: hostPort!,
        ...(hostIP ? { hostIP } : {}),
        protocol: protocol === 'UDP' ? ('UDP' as const) : ('TCP' as const),
      })),
  );
}

/** Undefined: the machine's own resolver. Rules: kubernetes `pkg/kubelet/network/dns`. */
async function dnsOf({ pod, clusterDNS, clusterDomain }: SandboxInput): Promise<SandboxConfig['dns']> {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  const extra = pod.spec.dnsConfig;
  const clusterFirst =
    clusterDNS.length > 0 &&
    ((policy === 'ClusterFirst' && !pod.spec.hostNetwork) || policy === 'ClusterFirstWithHostNet');
  if (!clusterFirst && policy !== 'None' && !extra) return undefined;
  const base = clusterFirst
    ? {
        servers: clusterDNS,
        searches: [`${pod.metadata.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain],
        options: ['ndots:5'],
      }
    : policy === 'None'
      ? { servers: [], searches: [], options: [] }
      : await hostResolver();
  const options = new Map(base.options.map(option => [option.split(':')[0]!, option]));
  for (const { name, value } of extra?.options ?? []) if (name) options.set(name, value ? `${name}:${value}` : name);
  return {
    servers: [...new Set([...base.servers, ...(extra?.nameservers ?? [])])],
    searches: [...new Set([...base.searches, ...(extra?.searches ?? [])])],
    options: [...options.values()],
  };
}

async function hostResolver(): Promise<NonNullable<SandboxConfig['dns']>> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  const of = (keyword: string) =>
    text.split('\n').flatMap(line => {
      const [first, ...rest] = line.trim().split(/\s+/);
      return first === keyword ? rest : [];
    });
  return { servers: of('nameserver'), searches: of('search'), options: of('options') };
}
