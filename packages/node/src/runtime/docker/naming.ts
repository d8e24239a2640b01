/** How pods and containers are called in the daemon, and what their labels carry: all that is needed to find them again. */
import type Docker from 'dockerode';
import type { ContainerConfig, ContainerStatus, Sandbox, SandboxConfig } from '../contract.js';

const own = 'io.orbitkit.';
export const labels = {
  owner: `${own}owner`,
  role: `${own}role`,
  sandbox: `${own}sandbox`,
  name: `${own}name`,
  namespace: `${own}namespace`,
  uid: `${own}uid`,
  attempt: `${own}attempt`,
  image: `${own}image`,
  log: `${own}log`,
  logDirectory: `${own}log-directory`,
  /** The caller's labels, as JSON. */
  labels: `${own}labels`,
} as const;

const safe = (text: string): string => text.replace(/[^a-zA-Z0-9_.-]/g, '_').slice(0, 60);

export const sandboxName = (owner: string, { uid, attempt }: SandboxConfig): string =>
  `orbit_${owner}_${safe(uid)}_${attempt}`;
export const containerName = (sandboxId: string, { name, attempt }: ContainerConfig): string =>
  `orbit_${sandboxId.slice(0, 16)}_${safe(name)}_${attempt}`;

export const sandboxLabels = (owner: string, config: SandboxConfig): Record<string, string> => ({
  [labels.owner]: owner,
  [labels.role]: 'sandbox',
  [labels.name]: config.name,
  [labels.namespace]: config.namespace,
  [labels.uid]: config.uid,
  [labels.attempt]: String(config.attempt),
  [labels.logDirectory]: config.logDirectory,
  [labels.labels]: JSON.stringify(config.labels),
});

export const containerLabels = (
  owner: string,
  sandboxId: string,
  config: ContainerConfig,
  logPath: string,
): Record<string, string> => ({
  [labels.owner]: owner,
  [labels.role]: 'container',
  [labels.sandbox]: sandboxId,
  [labels.name]: config.name,
  [labels.attempt]: String(config.attempt),
  [labels.image]: config.image,
  [labels.log]: logPath,
  [labels.labels]: JSON.stringify(config.labels),
});

const callersLabels = (of: Record<string, string>): Record<string, string> => JSON.parse(of[labels.labels] ?? '{}');

export function sandboxOf(inspected: Docker.ContainerInspectInfo): Sandbox {
  const of = inspected.Config.Labels;
  const running = inspected.State.Running;
  const ip = Object.values(inspected.NetworkSettings.Networks ?? {})[0]?.IPAddress;
  return {
    id: inspected.Id,
    name: of[labels.name] ?? '',
    namespace: of[labels.namespace] ?? '',
    uid: of[labels.uid] ?? '',
    attempt: Number(of[labels.attempt]),
    state: running ? 'ready' : 'not-ready',
    createdAt: Date.parse(inspected.Created),
    labels: callersLabels(of),
    ...(running && ip && inspected.HostConfig.NetworkMode !== 'host' ? { ip } : {}),
  };
}

const time = (text: string): number | undefined => {
  const ms = Date.parse(text);
  // Go's zero time is the year 1.
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
};

export function containerOf(inspected: Docker.ContainerInspectInfo): ContainerStatus {
  const of = inspected.Config.Labels;
  const { State: state } = inspected;
  const exited = state.Status === 'exited' || state.Status === 'dead' || state.Status === 'removing';
  const startedAt = time(state.StartedAt);
  const failedToStart = state.Status === 'created' && state.ExitCode !== 0;
  const status: ContainerStatus = {
    id: inspected.Id,
    sandboxId: of[labels.sandbox] ?? '',
    name: of[labels.name] ?? '',
    attempt: Number(of[labels.attempt]),
    state: exited || failedToStart ? 'exited' : state.Status === 'created' ? 'created' : 'running',
    image: of[labels.image] ?? inspected.Config.Image,
    imageId: inspected.Image,
    createdAt: Date.parse(inspected.Created),
    logPath: of[labels.log] ?? '',
    labels: callersLabels(of),
    ...(startedAt === undefined ? {} : { startedAt }),
  };
  if (state.Running && state.Pid > 0) status.pid = state.Pid;
  if (status.state === 'exited') {
    status.exitCode = state.ExitCode;
    status.finishedAt = Math.max(time(state.FinishedAt) ?? 0, startedAt ?? status.createdAt);
    status.reason = failedToStart
      ? 'StartError'
      : state.OOMKilled
        ? 'OOMKilled'
        : state.ExitCode === 0
          ? 'Completed'
          : 'Error';
    if (state.Error) status.message = state.Error;
  }
  return status;
}
