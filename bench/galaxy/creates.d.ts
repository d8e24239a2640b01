import type { GalaxyProcesses } from '@orbitkit/example-galaxy/processes';
export interface CreatesResult {
  seconds: number;
  /** Milliseconds, sorted. */
  latencies: number[];
  created: {
    key: string;
    id: string;
  }[];
  errors: {
    key: string;
    status: number;
    body: string;
  }[];
}
export interface CreatesOptions {
  count: number;
  clients: number;
  /** Before each idempotency key, so that two runs do not meet. Default `key`. */
  prefix?: string;
  /** Called once after this many answers. */
  after?: {
    answers: number;
    run(): Promise<void>;
  };
}
export declare function runCreates(galaxy: GalaxyProcesses, options: CreatesOptions): Promise<CreatesResult>;
export declare const percentile: (sorted: readonly number[], share: number) => number;
/** Instances by idempotency key, as the nodes have them. */
export declare function instancesByKey(galaxy: GalaxyProcesses): Promise<Map<string, string[]>>;
//# sourceMappingURL=creates.d.ts.map
