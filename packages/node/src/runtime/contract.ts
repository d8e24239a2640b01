/**
 * The runtime contract, in CRI's shape: pod sandboxes, containers in them, images, exec and attach, logs, stats, events.
 *
 * The agent is the only caller and level-triggered: after a restart it lists what runs and goes on from there. What a
 * runtime cannot give it says in `capabilities`; the agent reports it as a condition and event, it is never silently ignored.
 * Ids are opaque. All operations are idempotent where CRI's are (stop, remove). Names follow CRI v1.
 */
export type Capability =
  /** Each sandbox has a localhost of its own, apart from other pods. */
  | 'private-localhost'
  /** Volumes appear at their mountPath inside the container. */
  | 'mount-paths'
  | 'cpu-limits'
  | 'memory-limits'
  /** A server on 0.0.0.0 in one pod does not collide with another pod's. */
  | 'private-ports'
  /** Containers may bind ports below 1024. */
  | 'low-ports'
  /** The container sees its image's file system as root. */
  | 'root-filesystem'
  | 'attach'
  | 'port-forward';

/** In the order in which they are told. */
export const everyCapability: readonly Capability[] = [
  'private-localhost',
  'mount-paths',
  'cpu-limits',
  'memory-limits',
  'private-ports',
  'low-ports',
  'root-filesystem',
  'attach',
  'port-forward',
];

/** What a pod's sandbox is made of. `attempt` counts the sandboxes of one pod, from 0. */
export interface SandboxConfig {
  name: string;
  namespace: string;
  uid: string;
  attempt: number;
  hostname: string;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** Directory for container logs: `<logDirectory>/<container>/<attempt>.log`. */
  logDirectory: string;
  hostNetwork: boolean;
  dns?: { servers: readonly string[]; searches: readonly string[]; options: readonly string[] };
  /** The node's range, from which the runtime picks the pod's address. CIDR. */
  podCIDR?: string;
  /** Asked for by ports[].hostPort. */
  portMappings: readonly { containerPort: number; hostPort: number; hostIP?: string; protocol: 'TCP' | 'UDP' }[];
  sysctls?: Readonly<Record<string, string>>;
}

/** What is of a pod besides its containers: network, host name, identity. */
export interface Sandbox {
  id: string;
  name: string;
  namespace: string;
  uid: string;
  attempt: number;
  state: 'ready' | 'not-ready';
  /** Milliseconds since 1970. */
  createdAt: number;
  /** Absent with host network or while not ready. */
  ip?: string;
  labels: Readonly<Record<string, string>>;
}

/** A file or directory of the node in a container, both by absolute path. */
export interface Mount {
  hostPath: string;
  containerPath: string;
  readOnly: boolean;
}

/** What is absent is not limited. */
export interface Resources {
  /** CPU limit in thousandths of a core. */
  cpuLimitMillis?: number;
  /** Share of the processors under contention, in thousandths of a core. */
  cpuRequestMillis?: number;
  memoryLimitBytes?: number;
}

/** What a container is made of. `attempt` counts the containers of one name in a pod, from 0. */
export interface ContainerConfig {
  name: string;
  attempt: number;
  image: string;
  /** Replaces the image's entrypoint. */
  command?: readonly string[];
  args?: readonly string[];
  workingDir?: string;
  env: readonly { name: string; value: string }[];
  mounts: readonly Mount[];
  resources: Resources;
  /** Ports that the container declares: the process runtime tells its server through `PORT` where to listen. */
  ports: readonly { name?: string; containerPort: number; protocol: 'TCP' | 'UDP' | 'SCTP' }[];
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  stdin: boolean;
  /** The input ends when the first who attached to it ends theirs. */
  stdinOnce?: boolean;
  tty: boolean;
  user?: { uid?: number; gid?: number; username?: string };
  privileged?: boolean;
  readOnlyRootFilesystem?: boolean;
}

/** `unknown`: the runtime lost track; the agent starts another attempt. */
export type ContainerState = 'created' | 'running' | 'exited' | 'unknown';

/** What is of a container now. Times are milliseconds since 1970. */
export interface ContainerStatus {
  id: string;
  sandboxId: string;
  name: string;
  attempt: number;
  state: ContainerState;
  image: string;
  imageId: string;
  createdAt: number;
  startedAt?: number;
  finishedAt?: number;
  exitCode?: number;
  signal?: number;
  /** `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerCannotRun`, … */
  reason?: string;
  message?: string;
  /** The log of this attempt, in CRI's log format: `<RFC 3339 nano> stdout|stderr F|P <text>`. */
  logPath: string;
  /** Process id on the host, when there is one. */
  pid?: number;
  labels: Readonly<Record<string, string>>;
}

/** An image that is on the node. */
export interface ImageStatus {
  id: string;
  references: readonly string[];
  sizeBytes: number;
}

/** A command in a running container, and its streams. With `tty` everything comes on stdout. */
export interface ExecRequest {
  command: readonly string[];
  stdin?: AsyncIterable<Uint8Array>;
  tty: boolean;
  signal?: AbortSignal;
  /** May answer with a promise: little more is handed out before it resolves, and the program waits. It must not reject. */
  onStdout(chunk: Uint8Array): unknown;
  onStderr(chunk: Uint8Array): unknown;
  /** Terminal sizes as they change. */
  resize?: AsyncIterable<{ width: number; height: number }>;
}

/** What a running container uses. */
export interface ContainerStats {
  id: string;
  /** When measured, milliseconds since 1970. */
  timestamp: number;
  /** Used since start, nanoseconds of CPU. */
  cpuNanos: number;
  memoryWorkingSetBytes: number;
}

/** Something changed: look again. `sandboxId` absent means anything may have. */
export interface RuntimeEvent {
  sandboxId?: string;
  containerId?: string;
}

/** What runs pods on a machine. Operations reject with {@link RuntimeError}; stop and remove of what is gone succeed. */
export interface Runtime {
  /** `process`, `docker`, `cri`, `simulated`. */
  readonly name: string;
  readonly capabilities: ReadonlySet<Capability>;
  version(signal?: AbortSignal): Promise<{ name: string; version: string }>;

  runSandbox(config: SandboxConfig, signal?: AbortSignal): Promise<Sandbox>;
  /** Stops every container at once (no grace: the agent stops them first) and gives back the address. */
  stopSandbox(id: string): Promise<void>;
  removeSandbox(id: string): Promise<void>;
  listSandboxes(): Promise<Sandbox[]>;

  /** @throws RuntimeError `ImageNotPresent`, `InvalidConfig` */
  createContainer(sandboxId: string, config: ContainerConfig, signal?: AbortSignal): Promise<string>;
  /** @throws RuntimeError `StartFailed` with what the system said. */
  startContainer(id: string): Promise<void>;
  /** SIGTERM (or the image's stop signal), then SIGKILL after `graceMs`. Resolves when it has ended. */
  stopContainer(id: string, graceMs: number): Promise<void>;
  removeContainer(id: string): Promise<void>;
  listContainers(sandboxId?: string): Promise<ContainerStatus[]>;
  /** @throws RuntimeError `NotFound` */
  containerStatus(id: string): Promise<ContainerStatus>;

  /** Resolves to the exit code. @throws RuntimeError `NotRunning`, `StartFailed` */
  exec(containerId: string, request: ExecRequest): Promise<number>;
  /** @throws RuntimeError `Unsupported` without the capability. Resolves when the container ends or the signal aborts. */
  attach(containerId: string, request: Omit<ExecRequest, 'command'>): Promise<void>;
  /** A byte stream to a port inside the sandbox. @throws RuntimeError `ConnectionRefused` */
  portForward(sandboxId: string, port: number, signal?: AbortSignal): Promise<import('node:stream').Duplex>;

  /** `options.command` is the container's own command: the process runtime can run it without knowing the image. */
  imageStatus(image: string, options?: { command?: readonly string[] }): Promise<ImageStatus | undefined>;
  /** As `imageStatus`. @throws RuntimeError `ImagePullFailed` with a message that tells what to do. */
  pullImage(image: string, options?: { signal?: AbortSignal; command?: readonly string[] }): Promise<ImageStatus>;
  listImages(): Promise<ImageStatus[]>;

  stats(): Promise<ContainerStats[]>;
  /** Hints; the agent relists at times anyway. Ends with the signal. */
  events(signal: AbortSignal): AsyncIterable<RuntimeEvent>;
  /** Lets go; running pods stay as they are. */
  close(): Promise<void>;
}

/** `Unavailable`: the runtime itself does not answer, try again; `Unsupported`: it never will. */
export type RuntimeErrorReason =
  | 'NotFound'
  | 'ImageNotPresent'
  | 'ImagePullFailed'
  | 'InvalidConfig'
  | 'StartFailed'
  | 'NotRunning'
  | 'ConnectionRefused'
  | 'Unsupported'
  | 'Unavailable';

const brand = Symbol.for('orbitkit.RuntimeError');

/** Why an operation failed; the message is one that a person can act on. Tell it with {@link isRuntimeError}. */
export class RuntimeError extends Error {
  constructor(
    readonly reason: RuntimeErrorReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'RuntimeError';
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether it is a RuntimeError, of any copy of this package, and for this reason when one is named. */
export function isRuntimeError(error: unknown, reason?: RuntimeErrorReason): error is RuntimeError {
  if (typeof error !== 'object' || error === null || (error as Record<symbol, unknown>)[brand] !== true) return false;
  return reason === undefined || (error as RuntimeError).reason === reason;
}
