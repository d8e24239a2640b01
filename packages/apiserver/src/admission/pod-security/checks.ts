/**
 * The Pod Security Standards: what a pod may not ask for at the levels baseline and restricted, in upstream's order and words.
 * Each rule holds from the minor version that brought it, in the form that it had in the version asked for (`enforce-version: v1.24`).
 * Source: kubernetes.io "Pod Security Standards", pod-security-admission `policy` (v0.33).
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
/** @param minor Of the version whose rules hold: 24 for `v1.24`. */
type Check = (pod: Pod, containers: readonly Container[], minor: number) => string | readonly string[] | undefined;

/** The minor of `v1.24`; `latest`, and whatever is newer than what is known here, are the newest rules. */
export function minorOf(version: string): number {
  const minor = /^v1\.(\d+)$/.exec(version)?.[1];
  return minor === undefined ? Number.POSITIVE_INFINITY : Number(minor);
}

/** @returns reasons and details, in order; empty when the pod may come. */
export function violationsOf(level: Level, pod: Pod, minor = Number.POSITIVE_INFINITY): Violation[] {
  if (level === 'privileged') return [];
  const { spec } = pod;
  const containers = [
    ...(spec.initContainers ?? []),
    ...(spec.containers ?? []),
    ...((spec.ephemeralContainers ?? []) as unknown as Container[]),
  ];
  const rules =
    level === 'baseline'
      ? baseline
      : [...baseline.filter(({ replacedIn }) => replacedIn === undefined || minor < replacedIn), ...restricted];
  return rules.flatMap(({ reason, since = 0, check }) => {
    if (minor < since) return [];
    const found = check(pod, containers, minor);
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

/** Rules that mean nothing on Windows pass its pods since 1.25, when `os` had become a field to rely on. */
const isWindows = ({ spec }: Pod, minor: number): boolean => minor >= 25 && spec.os?.name === 'windows';

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

/** By the version since which each is allowed. */
const selinuxTypes: Readonly<Record<string, number>> = {
  '': 0,
  container_t: 0,
  container_init_t: 0,
  container_kvm_t: 0,
  container_engine_t: 31,
};

/** Whether a version of the standards has this name in its list of what is allowed. */
const isAllowed = (allowed: Readonly<Record<string, number>>, name: string, minor: number): boolean =>
  Object.hasOwn(allowed, name) && minor >= allowed[name]!;

const selinux: Check = ({ spec }, containers, minor) => {
  const holders = [spec, ...containers].map(each => each.securityContext?.seLinuxOptions);
  const badType = (type = ''): boolean => !isAllowed(selinuxTypes, type, minor);
  const bad = (options: corev1.SELinuxOptions | undefined): boolean =>
    options !== undefined && (badType(options.type) || Boolean(options.user) || Boolean(options.role));
  const who = setters(
    bad(spec.securityContext?.seLinuxOptions),
    containers.filter(each => bad(each.securityContext?.seLinuxOptions)),
  );
  if (!who) return undefined;
  const types = sorted(holders.flatMap(each => (each && badType(each.type) ? [each.type!] : [])));
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

const seccompAnnotation = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompAnnotationOf = (container: Container): string =>
  `container.seccomp.security.alpha.kubernetes.io/${container.name}`;

/** Before seccomp had fields, in 1.19, it had annotations. */
const unconfinedByAnnotation: Check = ({ metadata }, containers) => {
  const bad = [seccompAnnotation, ...containers.map(seccompAnnotationOf)].flatMap(key => {
    const value = metadata?.annotations?.[key];
    const good = value === undefined || /^(?:runtime\/default|docker\/default|localhost\/.*)$/.test(value);
    return good ? [] : [`${key}=${JSON.stringify(value)}`];
  });
  if (bad.length === 0) return undefined;
  return `forbidden ${bad.length === 1 ? 'annotation' : 'annotations'} ${sorted(bad).join(', ')}`;
};

/** By the version since which each is allowed. */
const safeSysctls: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
};

interface Rule {
  readonly reason: string;
  /** The minor version that brought it. Default: it has been there always. */
  readonly since?: number;
  /** Since this minor version a stricter rule of `restricted` takes its place. */
  readonly replacedIn?: number;
  readonly check: Check;
}

const baseline: readonly Rule[] = [
  { reason: 'forbidden AppArmor profiles', check: appArmor },
  {
    reason: 'non-default capabilities',
    replacedIn: 22,
    check: (_pod, containers) => addedCapabilities(containers, plainCapabilities),
  },
  { reason: 'host namespaces', check: hostNamespaces },
  {
    reason: 'hostPath volumes',
    replacedIn: 0,
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
  {
    reason: 'seccompProfile',
    replacedIn: 19,
    check: (pod, containers, minor) => (minor < 19 ? unconfinedByAnnotation : unconfined)(pod, containers, minor),
  },
  {
    reason: 'forbidden sysctls',
    check({ spec }, _containers, minor) {
      const bad = (spec.securityContext?.sysctls ?? []).filter(each => !isAllowed(safeSysctls, each.name, minor));
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

const droppedCapabilities: Check = (pod, containers, minor) => {
  if (isWindows(pod, minor)) return undefined;
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

const confined: Check = (pod, containers, minor) => {
  if (isWindows(pod, minor)) return undefined;
  const wrong = unconfined(pod, containers, minor);
  if (wrong) return wrong;
  if (pod.spec.securityContext?.seccompProfile) return undefined;
  const open = containers.filter(each => !each.securityContext?.seccompProfile);
  if (open.length === 0) return undefined;
  return `pod or ${named(open)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`;
};

const restricted: readonly Rule[] = [
  {
    reason: 'allowPrivilegeEscalation != false',
    since: 8,
    check(pod, containers, minor) {
      if (isWindows(pod, minor)) return undefined;
      const bad = containers.filter(each => each.securityContext?.allowPrivilegeEscalation !== false);
      return bad.length > 0 ? `${named(bad)} must set securityContext.allowPrivilegeEscalation=false` : undefined;
    },
  },
  { reason: 'unrestricted capabilities', since: 22, check: droppedCapabilities },
  { reason: 'restricted volume types', check: restrictedVolumes },
  { reason: 'runAsNonRoot != true', check: nonRoot },
  {
    reason: 'runAsUser=0',
    since: 23,
    check({ spec }, containers) {
      const who = setters(
        spec.securityContext?.runAsUser === 0,
        containers.filter(each => each.securityContext?.runAsUser === 0),
      );
      return who && `${who} must not set runAsUser=0`;
    },
  },
  { reason: 'seccompProfile', since: 19, check: confined },
];
