/**
 * The Pod Security Standards: what a pod may not ask for at the levels baseline and restricted, in upstream's order and words.
 * Source: kubernetes.io "Pod Security Standards", pod-security-admission `policy` (v0.33; the rules of the newest version).
 */
import type { corev1 } from '@orbitkit/core';

export type Level = 'privileged' | 'baseline' | 'restricted';

/** What keeps a pod out: `privileged (container "c" must not set securityContext.privileged=true)`. */
interface Violation {
  readonly reason: string;
  readonly detail: string;
}

type Pod = Pick<corev1.Pod, 'spec'> & { readonly metadata?: Partial<corev1.Pod['metadata']> | undefined };
type Container = corev1.Container;
type Check = (pod: Pod, containers: readonly Container[]) => string | readonly string[] | undefined;

/** @returns reasons and details, in order; empty when the pod may come. */
export function violationsOf(level: Level, pod: Pod): Violation[] {
  if (level === 'privileged') return [];
  const { spec } = pod;
  const containers = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as unknown as Container[]),
  ];
  const checks = level === 'baseline' ? baseline : [...baseline.filter(each => !each.replaced), ...restricted];
  return checks.flatMap(({ reason, check }) => {
    const found = check(pod, containers);
    const details = typeof found === 'string' ? [found] : (found ?? []);
    return details.length > 0 ? [{ reason, detail: details.join('; ') }] : [];
  });
}

export const textOf = (violations: readonly Violation[]): string =>
  violations.map(({ reason, detail }) => `${reason} (${detail})`).join(', ');

const quoted = (names: Iterable<string>): string => [...names].map(each => JSON.stringify(each)).join(', ');
const sorted = (values: Iterable<string>): string[] => [...new Set(values)].sort();

/** `container "a"`, `containers "a", "b"`. */
const named = (containers: readonly Container[]): string =>
  `${containers.length === 1 ? 'container' : 'containers'} ${quoted(containers.map(each => each.name))}`;

/** `pod and container "a"`: whoever set it. */
function setters(byPod: boolean, containers: readonly Container[]): string | undefined {
  const all = [...(byPod ? ['pod'] : []), ...(containers.length > 0 ? [named(containers)] : [])];
  return all.length === 0 ? undefined : all.join(' and ');
}

const isWindows = ({ spec }: Pod): boolean => spec.os?.name === 'windows';

const plainCapabilities = new Set(
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  ),
);

function addedCapabilities(containers: readonly Container[], allowed: ReadonlySet<string>): string | undefined {
  const beyond = (container: Container): string[] =>
    (container.securityContext?.capabilities?.add ?? []).filter(each => !allowed.has(each));
  const bad = containers.filter(each => beyond(each).length > 0);
  if (bad.length === 0) return undefined;
  return `${named(bad)} must not include ${quoted(sorted(bad.flatMap(beyond)))} in securityContext.capabilities.add`;
}

const profileAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

const appArmor: Check = ({ spec, metadata }, containers) => {
  const bad = (type: string | undefined): boolean =>
    type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  const who = setters(
    bad(spec.securityContext?.appArmorProfile?.type),
    containers.filter(each => bad(each.securityContext?.appArmorProfile?.type)),
  );
  const types = [spec, ...containers].map(each => each.securityContext?.appArmorProfile?.type).filter(bad) as string[];
  const annotations = Object.entries(metadata?.annotations ?? {}).filter(
    ([key, value]) =>
      key.startsWith(profileAnnotation) &&
      value !== '' &&
      value !== 'runtime/default' &&
      !(value as string).startsWith('localhost/'),
  );
  return [
    ...(who ? [`${who} must not set AppArmor profile type to ${quoted(sorted(types))}`] : []),
    ...(annotations.length > 0
      ? [sorted(annotations.map(([key, value]) => `${key}=${JSON.stringify(value)}`)).join(', ')]
      : []),
  ];
};

const hostPorts: Check = (_pod, containers) => {
  const ports = (container: Container): string[] =>
    (container.ports ?? []).flatMap(each => (each.hostPort ? [String(each.hostPort)] : []));
  const bad = containers.filter(each => ports(each).length > 0);
  if (bad.length === 0) return undefined;
  const all = [...new Set(bad.flatMap(ports))].sort((a, b) => Number(a) - Number(b));
  const verb = bad.length === 1 ? 'uses' : 'use';
  return `${named(bad)} ${verb} ${all.length === 1 ? 'hostPort' : 'hostPorts'} ${all.join(', ')}`;
};

const hostNamespaces: Check = ({ spec }) => {
  const all = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter(each => spec[each]).map(each => `${each}=true`);
  return all.length > 0 ? all.join(', ') : undefined;
};

const selinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t']);

const selinux: Check = ({ spec }, containers) => {
  const holders = [spec, ...containers].map(each => each.securityContext?.seLinuxOptions);
  const bad = (options: corev1.SELinuxOptions | undefined): boolean =>
    options !== undefined && (!selinuxTypes.has(options.type ?? '') || Boolean(options.user) || Boolean(options.role));
  const who = setters(
    bad(spec.securityContext?.seLinuxOptions),
    containers.filter(each => bad(each.securityContext?.seLinuxOptions)),
  );
  if (!who) return undefined;
  const types = sorted(holders.flatMap(each => (each && !selinuxTypes.has(each.type ?? '') ? [each.type!] : [])));
  const details = [
    ...(types.length > 0 ? [`${types.length === 1 ? 'type' : 'types'} ${quoted(types)}`] : []),
    ...(holders.some(each => each?.user) ? ['user may not be set'] : []),
    ...(holders.some(each => each?.role) ? ['role may not be set'] : []),
  ];
  return `${who} set forbidden securityContext.seLinuxOptions: ${details.join('; ')}`;
};

const unconfined: Check = ({ spec }, containers) => {
  const bad = (type: string | undefined): boolean =>
    type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  const who = setters(
    bad(spec.securityContext?.seccompProfile?.type),
    containers.filter(each => bad(each.securityContext?.seccompProfile?.type)),
  );
  if (!who) return undefined;
  const types = [spec, ...containers].map(each => each.securityContext?.seccompProfile?.type).filter(bad) as string[];
  return `${who} must not set securityContext.seccompProfile.type to ${quoted(sorted(types))}`;
};

const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

interface Rule {
  readonly reason: string;
  /** A stricter rule of `restricted` takes its place. */
  readonly replaced?: true;
  readonly check: Check;
}

const baseline: readonly Rule[] = [
  { reason: 'forbidden AppArmor profiles', check: appArmor },
  {
    reason: 'non-default capabilities',
    replaced: true,
    check: (_pod, containers) => addedCapabilities(containers, plainCapabilities),
  },
  { reason: 'host namespaces', check: hostNamespaces },
  {
    reason: 'hostPath volumes',
    replaced: true,
    check({ spec }) {
      const bad = (spec.volumes ?? []).filter(each => each.hostPath !== undefined);
      if (bad.length === 0) return undefined;
      return `${bad.length === 1 ? 'volume' : 'volumes'} ${quoted(bad.map(each => each.name))}`;
    },
  },
  { reason: 'hostPort', check: hostPorts },
  {
    reason: 'privileged',
    check(_pod, containers) {
      const bad = containers.filter(each => each.securityContext?.privileged);
      return bad.length > 0 ? `${named(bad)} must not set securityContext.privileged=true` : undefined;
    },
  },
  {
    reason: 'procMount',
    check(_pod, containers) {
      const typeOf = (container: Container): string => container.securityContext?.procMount ?? 'Default';
      const bad = containers.filter(each => typeOf(each) !== 'Default');
      if (bad.length === 0) return undefined;
      return `${named(bad)} must not set securityContext.procMount to ${quoted(sorted(bad.map(typeOf)))}`;
    },
  },
  { reason: 'seLinuxOptions', check: selinux },
  { reason: 'seccompProfile', replaced: true, check: unconfined },
  {
    reason: 'forbidden sysctls',
    check({ spec }) {
      const bad = (spec.securityContext?.sysctls ?? []).filter(each => !safeSysctls.has(each.name));
      return bad.length > 0 ? sorted(bad.map(each => each.name)).join(', ') : undefined;
    },
  },
  {
    reason: 'hostProcess',
    check({ spec }, containers) {
      const who = setters(
        spec.securityContext?.windowsOptions?.hostProcess === true,
        containers.filter(each => each.securityContext?.windowsOptions?.hostProcess),
      );
      return who && `${who} must not set securityContext.windowsOptions.hostProcess=true`;
    },
  },
];

const plainVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
] as const;

const restrictedVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? []).filter(each => !plainVolumes.some(type => each[type] !== undefined));
  if (bad.length === 0) return undefined;
  const types = sorted(bad.map(each => Object.keys(each).find(key => key !== 'name') ?? 'unknown'));
  const [volume, use, type] =
    bad.length === 1 ? ['volume', 'uses', 'type'] : ['volumes', 'use', types.length === 1 ? 'type' : 'types'];
  return `${volume} ${quoted(bad.map(each => each.name))} ${use} restricted volume ${type} ${quoted(types)}`;
};

const droppedCapabilities: Check = (pod, containers) => {
  if (isWindows(pod)) return undefined;
  const keeping = containers.filter(each => !each.securityContext?.capabilities?.drop?.includes('ALL'));
  const adding = addedCapabilities(containers, new Set(['NET_BIND_SERVICE']));
  return [
    ...(keeping.length > 0 ? [`${named(keeping)} must set securityContext.capabilities.drop=["ALL"]`] : []),
    ...(adding ? [adding] : []),
  ];
};

const nonRoot: Check = ({ spec }, containers) => {
  const ofPod = spec.securityContext?.runAsNonRoot;
  const who = setters(
    ofPod === false,
    containers.filter(each => each.securityContext?.runAsNonRoot === false),
  );
  if (who) return `${who} must not set securityContext.runAsNonRoot=false`;
  const open = containers.filter(each => each.securityContext?.runAsNonRoot === undefined);
  if (ofPod || open.length === 0) return undefined;
  return `pod or ${named(open)} must set securityContext.runAsNonRoot=true`;
};

const confined: Check = (pod, containers) => {
  if (isWindows(pod)) return undefined;
  const wrong = unconfined(pod, containers);
  if (wrong) return wrong;
  if (pod.spec.securityContext?.seccompProfile) return undefined;
  const open = containers.filter(each => !each.securityContext?.seccompProfile);
  if (open.length === 0) return undefined;
  return `pod or ${named(open)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`;
};

const restricted: readonly Rule[] = [
  {
    reason: 'allowPrivilegeEscalation != false',
    check(pod, containers) {
      if (isWindows(pod)) return undefined;
      const bad = containers.filter(each => each.securityContext?.allowPrivilegeEscalation !== false);
      return bad.length > 0 ? `${named(bad)} must set securityContext.allowPrivilegeEscalation=false` : undefined;
    },
  },
  { reason: 'unrestricted capabilities', check: droppedCapabilities },
  { reason: 'restricted volume types', check: restrictedVolumes },
  { reason: 'runAsNonRoot != true', check: nonRoot },
  {
    reason: 'runAsUser=0',
    check({ spec }, containers) {
      const who = setters(
        spec.securityContext?.runAsUser === 0,
        containers.filter(each => each.securityContext?.runAsUser === 0),
      );
      return who && `${who} must not set runAsUser=0`;
    },
  },
  { reason: 'seccompProfile', check: confined },
];
