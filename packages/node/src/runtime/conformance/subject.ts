/**
 * What a runtime's author gives the suite: how to make the runtime, what it can do, and programs that behave as asked.
 */
import type { Capability, ContainerConfig, Runtime } from '../contract.js';

/** The part of a container that differs from runtime to runtime. */
export type Workload = Pick<ContainerConfig, 'image' | 'command' | 'args'>;

/** Programs that behave as their names say. */
export interface Workloads {
  /** Runs until SIGTERM, and ends at once at it. */
  sleeps: Workload;
  /** Goes on at SIGTERM, and writes `ready` once it does. */
  stubborn: Workload;
  /** Ends at once with this code. */
  exits(code: number): Workload;
  /** Ends itself with SIGKILL. Absent: not possible in this runtime. */
  killsItself?: Workload;
  /** Writes these texts as they are (no line end added), stdout first, then runs on. */
  prints(stdout: string, stderr: string): Workload;
  /** Copies its input to its output. */
  echoes: Workload;
  /** Has an image, but cannot be started. */
  unstartable: Workload;
  /** An image that cannot be pulled. */
  unknownImage: string;
  /** Commands for `exec`. */
  exec: {
    prints(stdout: string, stderr: string): readonly string[];
    exits(code: number): readonly string[];
    /** Copies stdin to stdout. */
    cat: readonly string[];
    /** Runs for a minute. */
    sleeps: readonly string[];
    /** A program that is not there. */
    missing: readonly string[];
    /** Prints the variable's value. Absent: exec sees no environment. */
    variable?(name: string): readonly string[];
    /** Prints the size of its terminal as `<rows> <columns>`. Absent: no terminals. */
    terminalSize?: readonly string[];
  };
  /** What isolation is tested with. Absent for a simulation, which has nothing to isolate. */
  real?: {
    /** Accepts TCP on this address and port (`$POD_IP` is written as `pod`), and answers every connection with the text. */
    listens(host: string, port: number, answer: string): Workload;
    /** An exec command that ends with 0 when the connection is accepted. */
    connects(host: string, port: number): readonly string[];
    /** An exec command that prints a file; and one that writes a word into it. */
    reads(path: string): readonly string[];
    writes(path: string, word: string): readonly string[];
    /** Uses a whole core for ever. */
    busy: Workload;
    /** Takes 256 MiB and holds it. */
    hog: Workload;
  };
  /** A port of a workload that answers over `portForward`, where `real` is absent. */
  serves?: { workload: Workload; port: number };
}

/** One machine with the runtime on it, for the whole suite. */
export interface Subject {
  runtime: Runtime;
  /** A second runtime object over the same machine, as a restarted agent makes it. */
  reopen(): Promise<Runtime>;
  /** An existing directory; the logs of each pod go into a folder of it. */
  logDirectory: string;
  /** The range given to each sandbox. */
  podCIDR: string;
  /** Ends what the factory started. Throws when the runtime left something behind. */
  cleanup(): Promise<void>;
}

/** A runtime, and what it claims. */
export interface ConformanceOptions {
  /** In the suite's title. */
  name: string;
  create(): Promise<Subject>;
  workloads: Workloads;
  /** Exactly these must be reported; each is then proven. */
  capabilities: readonly Capability[];
}

/** Of vitest, jest, or anything shaped like them: no runner is imported here. */
export interface TestRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>, timeoutMs?: number): void;
  beforeAll(body: () => Promise<void>, timeoutMs?: number): void;
  afterAll(body: () => Promise<void>, timeoutMs?: number): void;
}
