/**
 * What separates pods from each other and from the machine: nothing but addresses without root, namespaces and cgroups with
 * it. The helper asks for everything through this interface; `capabilities` says what of it is real.
 *
 * Programs are started by one `spawn` whose argv becomes the program through a chain of `exec`s, so that the pid that was
 * spawned is the program's, its process group and session its own.
 */
import type { Capability, SandboxConfig } from '../../contract.js';
import type { ProcessInfo, ProcessTable } from '../process-table.js';
import type { ContainerSpec } from '../protocol.js';

export interface PlacedContainer {
  id: string;
  sandboxId: string;
  sandbox: SandboxConfig;
  spec: ContainerSpec;
  /** The container's own directory, made by the helper. */
  directory: string;
  ip?: string;
}

export interface Launch {
  argv: readonly string[];
  cwd: string;
  /**
   * The chain writes to descriptor 3: `began` as its last line when the program begins, else why it failed. Without it,
   * `spawn` itself reports what is wrong.
   */
  reports: boolean;
}

export interface Usage {
  cpuNanos: number;
  memoryBytes: number;
}

export interface Isolation {
  readonly mode: 'rootless' | 'root';
  readonly capabilities: ReadonlySet<Capability>;

  /** @throws RuntimeError when the machine does not let it. What was half done is taken back. */
  addSandbox(id: string, config: SandboxConfig): Promise<{ ip?: string }>;
  /** Takes over what an earlier helper made; false when it is gone. */
  adoptSandbox(id: string, config: SandboxConfig, ip: string | undefined): boolean;
  removeSandbox(id: string, ip: string | undefined): Promise<void>;

  /** Makes what must be there before the start. @throws RuntimeError `InvalidConfig` for what it cannot give. */
  prepareContainer(container: PlacedContainer): void;
  launch(container: PlacedContainer): Launch;
  /** Runs a command where the container's program `pid` runs. */
  launchBeside(container: PlacedContainer, pid: number, command: readonly string[]): Launch;
  /** Runs a program in the network of the sandbox. */
  launchInNetwork(sandboxId: string, config: SandboxConfig, command: readonly string[]): Launch;
  /** Every process of the container, the descendants that left its session included. */
  processes(containerId: string, pid: number): Promise<readonly ProcessInfo[]>;
  usage(containerId: string, pid: number, table: ProcessTable): Usage;
  /** Whether the kernel killed a process of the container for its memory limit. */
  ranOutOfMemory(containerId: string): boolean;
  removeContainer(containerId: string): void;

  /** Removes what belongs to no known sandbox or container: left by a helper that was killed. */
  sweep(sandboxIds: ReadonlySet<string>, containerIds: ReadonlySet<string>): Promise<void>;
  /** Takes back what was set up for the node as a whole. */
  teardown(): Promise<void>;
}

/** The last word of a launch that reports. */
export const began = 'began';

/** In every program's environment: finds what left its session. */
export const containerMark = 'ORBIT_CONTAINER_ID';
