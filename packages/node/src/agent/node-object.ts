/**
 * The Node object as this agent says it: labels, annotations, addresses, capacity, conditions, what machine it is. Pure but for
 * `machineFacts`, which reads the machine once.
 */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import { type corev1, type Draft, localVolumes, type Node, setCondition } from '@orbitkit/core';
import { type Capability, everyCapability, type ImageStatus } from '../runtime/contract.js';
import { localVolumesIn } from '../volumes/local-volumes.js';
import { annotations, conditions } from './labels.js';
import type { Settings } from './options.js';

/** The kubelet whose behaviour this agent follows. */
const kubeletVersion = 'v1.33.1+orbitkit';

const architectures: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
/** Upstream reports at most 50 images, the largest first. */
const imageLimit = 50;

export interface MachineFacts {
  machineID: string;
  bootID: string;
  kernelVersion: string;
  osImage: string;
}

export async function machineFacts(): Promise<MachineFacts> {
  const read = async (file: string) => (await readFile(file, 'utf8').catch(() => '')).trim();
  const release = await read('/etc/os-release');
  return {
    machineID: await read('/etc/machine-id'),
    bootID: await read('/proc/sys/kernel/random/boot_id'),
    kernelVersion: os.release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? os.type(),
  };
}

export interface NodeFacts {
  settings: Settings;
  machine: MachineFacts;
  runtime: { name: string; version: string };
  capabilities: ReadonlySet<Capability>;
  images: readonly ImageStatus[];
  /** Where streams are served; undefined: nowhere. */
  serving: { port: number; fingerprint: string } | undefined;
  /** Why pods cannot run now. */
  failure: string | undefined;
}

export function nodeLabelsOf({ name, labels }: Settings): Record<string, string> {
  return {
    // One machine may carry several nodes: spreading over "hosts" must tell them apart.
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': architectures[process.arch] ?? process.arch,
    ...labels,
  };
}

export function nodeAnnotationsOf({
  settings,
  capabilities,
  serving,
}: Pick<NodeFacts, 'settings' | 'capabilities' | 'serving'>) {
  return {
    [annotations.runtimeCapabilities]: [...capabilities].sort().join(','),
    // Empty rather than absent: an earlier agent's certificate must not stay pinned.
    [annotations.servingCertificate]: serving?.fingerprint ?? '',
    [localVolumes.directory]: localVolumesIn(settings.dataDir),
    ...settings.annotations,
  };
}

export function nodeDraft(facts: NodeFacts): Draft<Node> {
  const { settings } = facts;
  return {
    metadata: { name: settings.name, labels: nodeLabelsOf(settings), annotations: nodeAnnotationsOf(facts) },
    spec: {
      ...(settings.podCIDR ? { podCIDR: settings.podCIDR, podCIDRs: [settings.podCIDR] } : {}),
      ...(settings.taints.length > 0 ? { taints: [...settings.taints] } : {}),
    },
  };
}

/** Heartbeat times are left as they are: the caller stamps them when it writes. */
export function nodeStatusOf(facts: NodeFacts, current: corev1.NodeStatus | undefined, now: number): corev1.NodeStatus {
  const { settings, machine, runtime, serving } = facts;
  return {
    ...current,
    capacity: { ...settings.capacity },
    allocatable: { ...settings.capacity },
    conditions: nodeConditionsOf(facts, current?.conditions, now),
    addresses: [
      { type: 'InternalIP', address: settings.address },
      { type: 'Hostname', address: settings.hostname },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: serving?.port ?? 0 } },
    nodeInfo: {
      ...machine,
      systemUUID: '',
      containerRuntimeVersion: `${runtime.name}://${runtime.version}`,
      kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: architectures[process.arch] ?? process.arch,
    },
    images: [...facts.images]
      .sort((a, b) => b.sizeBytes - a.sizeBytes)
      .slice(0, imageLimit)
      .map(({ references, sizeBytes }) => ({ names: [...references], sizeBytes })),
  };
}

function nodeConditionsOf(facts: NodeFacts, current: readonly corev1.NodeCondition[] | undefined, now: number) {
  const { failure, capabilities, runtime } = facts;
  const lacking = everyCapability.filter(capability => !capabilities.has(capability));
  const limited: corev1.NodeCondition =
    lacking.length > 0
      ? {
          type: conditions.runtimeLimited,
          status: 'True',
          reason: 'CapabilitiesMissing',
          message: `the ${runtime.name} runtime here has no ${lacking.join(', ')}`,
        }
      : {
          type: conditions.runtimeLimited,
          status: 'False',
          reason: 'CapabilitiesComplete',
          message: `the ${runtime.name} runtime here has every capability`,
        };
  const ready: corev1.NodeCondition =
    failure === undefined
      ? { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'the node agent is posting ready status' }
      : { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: failure };
  return setCondition(setCondition(current, limited, now), ready, now);
}
