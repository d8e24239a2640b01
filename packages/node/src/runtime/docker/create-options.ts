/** What the daemon is asked to create for a pod's sandbox and for its containers. */
import type Docker from 'dockerode';
import type { ContainerConfig, SandboxConfig } from '../contract.js';
import { containerLabels, containerName, sandboxLabels, sandboxName, sandboxOf } from './naming.js';
import { pauseImage } from './pause-image.js';

/**
 * @param network A network of the daemon, for a pod that does not use the host's.
 */
export function sandboxSpec(owner: string, network: string, config: SandboxConfig): Docker.ContainerCreateOptions {
  const ports = config.hostNetwork ? [] : config.portMappings;
  const keyed = (each: (typeof ports)[number]) => `${each.containerPort}/${each.protocol.toLowerCase()}`;
  return {
    name: sandboxName(owner, config),
    Image: pauseImage,
    // Longer names than 63 characters are no host names.
    Hostname: config.hostNetwork ? undefined : config.hostname.slice(0, 63),
    Labels: sandboxLabels(owner, config),
    ExposedPorts: Object.fromEntries(ports.map(each => [keyed(each), {}])),
    StopTimeout: 0,
    HostConfig: {
      NetworkMode: config.hostNetwork ? 'host' : network,
      IpcMode: 'shareable',
      PortBindings: Object.fromEntries(
        ports.map(each => [keyed(each), [{ HostIp: each.hostIP ?? '', HostPort: String(each.hostPort) }]]),
      ),
      ...(config.dns && !config.hostNetwork
        ? { Dns: [...config.dns.servers], DnsSearch: [...config.dns.searches], DnsOptions: [...config.dns.options] }
        : {}),
      ...(config.sysctls ? { Sysctls: { ...config.sysctls } } : {}),
    },
  } as Docker.ContainerCreateOptions;
}

/** @param sandbox The pod's container, which holds the network and the IPC namespace that this one joins. */
export function containerSpec(
  owner: string,
  sandbox: Docker.ContainerInspectInfo,
  config: ContainerConfig,
  logPath: string,
): Docker.ContainerCreateOptions {
  const { resources, user } = config;
  const ip = sandboxOf(sandbox).ip;
  return {
    name: containerName(sandbox.Id, config),
    Image: config.image,
    Labels: containerLabels(owner, sandbox.Id, config, logPath),
    Env: [...(ip ? [`POD_IP=${ip}`] : []), ...config.env.map(({ name, value }) => `${name}=${value}`)],
    ...(config.command ? { Entrypoint: [...config.command] } : {}),
    ...(config.args ? { Cmd: [...config.args] } : config.command ? { Cmd: [] } : {}),
    ...(config.workingDir ? { WorkingDir: config.workingDir } : {}),
    ...(user ? { User: user.username ?? `${user.uid ?? 0}${user.gid === undefined ? '' : `:${user.gid}`}` } : {}),
    Tty: config.tty,
    OpenStdin: config.stdin,
    StdinOnce: config.stdinOnce ?? false,
    HostConfig: {
      NetworkMode: `container:${sandbox.Id}`,
      IpcMode: `container:${sandbox.Id}`,
      Binds: config.mounts.map(mount => `${mount.hostPath}:${mount.containerPath}${mount.readOnly ? ':ro' : ''}`),
      ...(resources.cpuLimitMillis ? { NanoCpus: resources.cpuLimitMillis * 1_000_000 } : {}),
      ...(resources.cpuRequestMillis
        ? { CpuShares: Math.max(2, Math.floor((resources.cpuRequestMillis * 1_024) / 1_000)) }
        : {}),
      ...(resources.memoryLimitBytes
        ? { Memory: resources.memoryLimitBytes, MemorySwap: resources.memoryLimitBytes }
        : {}),
      ...(config.privileged ? { Privileged: true } : {}),
      ...(config.readOnlyRootFilesystem ? { ReadonlyRootfs: true } : {}),
      LogConfig: { Type: 'json-file', Config: { 'max-size': '50m', 'max-file': '3' } },
    },
  };
}
