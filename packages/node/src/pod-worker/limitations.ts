/**
 * What a pod asks for that this node does not give, in words: nothing that a manifest says is ignored in silence.
 *
 * Two reasons: the runtime lacks a capability (it says so itself), or the node agent does not do it at all. The pod runs all the
 * same, as close to what it asks for as the node can; the sentences stand in its condition `orbitkit.dev/Limited` and in one event.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { substitutePort } from '../network/low-port.js';
import type { Capability } from '../runtime/contract.js';
import { volumeLimitations } from '../volumes/pod-volumes.js';
import { containersOf } from './pod-state.js';

/** How admission names the volume of the service account's token. */
const automaticVolume = 'kube-api-access-';

export function limitationsOf(pod: Pod, runtimeName: string, capabilities: ReadonlySet<Capability>): string[] {
  const result: string[] = [];
  const lacks = (capability: Capability) => !capabilities.has(capability);
  const { spec } = pod;
  for (const container of containersOf(pod)) {
    const say = (text: string) => result.push(`container ${container.name}: ${text}`);
    const { limits } = container.resources ?? {};
    if (limits?.['cpu'] !== undefined && lacks('cpu-limits'))
      say(`the ${runtimeName} runtime here does not enforce its CPU limit`);
    if (limits?.['memory'] !== undefined && lacks('memory-limits'))
      say(`the ${runtimeName} runtime here does not enforce its memory limit`);
    // The token that every pod gets was not asked for.
    const mounts = container.volumeMounts?.filter(({ name }) => !name.startsWith(automaticVolume)) ?? [];
    if (mounts.length > 0 && lacks('mount-paths'))
      say(`the ${runtimeName} runtime here cannot mount volumes at ${mounts.map(mount => mount.mountPath).join(', ')}`);
    for (const { containerPort } of container.ports ?? []) {
      const port = substitutePort(containerPort, capabilities);
      if (port !== containerPort)
        say(`port ${containerPort} is below 1024 and may not be bound here: it answers on ${port}`);
    }
    if (container.securityContext?.readOnlyRootFilesystem && lacks('root-filesystem'))
      say(`the ${runtimeName} runtime here has no root file system to make read-only`);
    for (const field of unsupportedSecurity(container.securityContext))
      say(`securityContext.${field} is not applied by this node`);
    if (container.volumeDevices?.length) say('volumeDevices are not supported by this node');
  }
  result.push(...volumeLimitations(pod));
  if (spec.shareProcessNamespace) result.push('shareProcessNamespace is not supported by this node');
  if (spec.hostPID || spec.hostIPC) result.push('hostPID and hostIPC are not supported by this node');
  if (spec.hostAliases?.length) result.push('hostAliases are not written by this node');
  if (spec.imagePullSecrets?.length)
    result.push('imagePullSecrets are not used by this node: images are pulled with its own credentials');
  for (const { name, targetContainerName } of spec.ephemeralContainers ?? []) {
    if (targetContainerName && runtimeName !== 'process')
      result.push(
        `container ${name}: targetContainerName is not applied by the ${runtimeName} runtime: it does not see the processes of ${targetContainerName}`,
      );
  }
  if (spec.securityContext?.fsGroup !== undefined && process.geteuid?.() !== 0)
    result.push('securityContext.fsGroup needs root; volumes stay the property of the agent');
  for (const field of unsupportedSecurity(spec.securityContext))
    result.push(`securityContext.${field} is not applied by this node`);
  return result;
}

/** What the runtime contract has no word for. An explicit default asks for nothing. */
function unsupportedSecurity(context: corev1.SecurityContext | corev1.PodSecurityContext | undefined): string[] {
  if (!context) return [];
  const asked: string[] = [];
  if ('capabilities' in context && (context.capabilities?.add?.length || context.capabilities?.drop?.length))
    asked.push('capabilities');
  if ('supplementalGroups' in context && context.supplementalGroups?.length) asked.push('supplementalGroups');
  if (context.seccompProfile?.type === 'Localhost') asked.push('seccompProfile');
  if (context.appArmorProfile?.type === 'Localhost') asked.push('appArmorProfile');
  if (context.seLinuxOptions) asked.push('seLinuxOptions');
  return asked;
}
