/**
 * From a container's spec to what the runtime is told: environment, expanded command, mounts, limits, user, labels.
 *
 * @throws ConfigError for what is missing or cannot be; the container waits as CreateContainerConfigError.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type corev1, type Pod, Quantity } from '@orbitkit/core';
import { labels } from '../agent/labels.js';
import { ConfigError } from '../env/config-error.js';
import { type Environment, environmentOf } from '../env/environment.js';
import { expand } from '../env/expansion.js';
import type { ContainerConfig, Resources } from '../runtime/contract.js';
import type { PayloadInput } from '../volumes/payload.js';
import type { MountedVolumes, PodVolumes } from '../volumes/pod-volumes.js';
import { graceSecondsOf, specHashOf } from './pod-state.js';

export interface ContainerConfigInput extends PayloadInput {
  container: corev1.Container;
  type: 'init' | 'sidecar' | 'app' | 'ephemeral';
  attempt: number;
  agentId: string;
  volumes: PodVolumes;
  mounted: MountedVolumes;
}

export async function containerConfigOf(
  input: ContainerConfigInput,
): Promise<{ config: ContainerConfig; skipped: Environment['skipped'] }> {
  const { pod, container, attempt, volumes, mounted } = input;
  const { variables, skipped } = await environmentOf(input);
  const values = new Map(variables.map(({ name, value }) => [name, value]));
  const expanded = (texts: readonly string[] | undefined) => texts?.map(text => expand(text, name => values.get(name)));
  const mounts = await volumes.mountsOf(container, mounted, variables);
  const command = expanded(container.command);
  const args = expanded(container.args);
  const user = userOf(pod, container);
  const security = container.securityContext;
  mounts.push({
    hostPath: await terminationFile(volumes.directoryOf(pod.metadata.uid), container.name, attempt),
    containerPath: container.terminationMessagePath ?? '/dev/termination-log',
    readOnly: false,
  });
  return {
    skipped,
    config: {
      name: container.name,
      attempt,
      image: container.image ?? '',
      ...(command?.length ? { command } : {}),
      ...(args?.length ? { args } : {}),
      ...(container.workingDir ? { workingDir: container.workingDir } : {}),
      env: variables,
      mounts,
      resources: resourcesOf(container),
      ports: (container.ports ?? []).map(({ name, containerPort, protocol }) => ({
        ...(name ? { name } : {}),
        containerPort,
        protocol: protocol ?? 'TCP',
      })),
      labels: containerLabels(input),
      annotations: {},
      stdin: container.stdin ?? false,
      ...(container.stdinOnce ? { stdinOnce: true } : {}),
      tty: container.tty ?? false,
      ...(user ? { user } : {}),
      ...(security?.privileged ? { privileged: true } : {}),
      ...(security?.readOnlyRootFilesystem ? { readOnlyRootFilesystem: true } : {}),
    },
  };
}

function containerLabels({ pod, container, type, attempt, agentId }: ContainerConfigInput): Record<string, string> {
  return {
    [labels.agent]: agentId,
    [labels.podName]: pod.metadata.name,
    [labels.podNamespace]: pod.metadata.namespace,
    [labels.podUid]: pod.metadata.uid,
    [labels.containerName]: container.name,
    [labels.containerType]: type,
    [labels.restartCount]: String(attempt),
    [labels.specHash]: specHashOf(container),
    [labels.graceSeconds]: String(graceSecondsOf(pod)),
  };
}

export const terminationFileOf = (podDirectory: string, container: string, attempt: number): string =>
  path.join(podDirectory, 'termination', `${container}.${attempt}`);

/** Writable by whatever user the container runs as. */
async function terminationFile(podDirectory: string, container: string, attempt: number): Promise<string> {
  const file = terminationFileOf(podDirectory, container, attempt);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, '');
  await chmod(file, 0o666);
  return file;
}

/** @throws ConfigError when a quantity is none, or an amount is below zero. */
function resourcesOf(container: corev1.Container): Resources {
  const amount = (
    side: 'limits' | 'requests',
    resource: string,
    of: (quantity: Quantity) => bigint,
  ): number | undefined => {
    const text = container.resources?.[side]?.[resource];
    if (text === undefined) return undefined;
    const value = Quantity.isQuantity(text) ? Number(of(Quantity.parse(text))) : Number.NaN;
    if (value >= 0) return value;
    throw new ConfigError(
      `container ${container.name}: resources.${side}.${resource} ${JSON.stringify(text)} is no amount`,
    );
  };
  const cpuLimitMillis = amount('limits', 'cpu', quantity => quantity.milliValue());
  const memoryLimitBytes = amount('limits', 'memory', quantity => quantity.value());
  // A request that is not set is the limit: upstream's default, in case the server did not fill it in.
  const cpuRequestMillis = amount('requests', 'cpu', quantity => quantity.milliValue()) ?? cpuLimitMillis;
  return {
    ...(cpuLimitMillis ? { cpuLimitMillis } : {}),
    ...(cpuRequestMillis ? { cpuRequestMillis } : {}),
    ...(memoryLimitBytes ? { memoryLimitBytes } : {}),
  };
}

function userOf(pod: Pod, container: corev1.Container): ContainerConfig['user'] {
  const own = container.securityContext;
  const shared = pod.spec.securityContext;
  const uid = own?.runAsUser ?? shared?.runAsUser;
  const gid = own?.runAsGroup ?? shared?.runAsGroup;
  if ((own?.runAsNonRoot ?? shared?.runAsNonRoot) && uid === 0) {
    throw new ConfigError(`container ${container.name}: runAsNonRoot is set and runAsUser is 0; set another runAsUser`);
  }
  if (uid === undefined && gid === undefined) return undefined;
  return { ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
}
