/**
 * What a node knows of its instances: who asked (key), what it holds, how it ended.
 *
 * - One key, one instance: a second create with a known key answers the first's instance.
 * - The node is the authority on its own room: a create that does not fit is refused, whoever thought that it would.
 * - A fenced attempt is never started, also when it arrives later: whoever lost contact can ask and be sure.
 * - What has ended is remembered for a while (10,000 instances, and fences for 5 minutes), then forgotten.
 */
import type { Clock } from '@orbitkit/core';
import type { Capacity, Create, InstanceStatus } from '../protocol/schema.js';

export interface Instance extends InstanceStatus {
  cpuMillis: number;
  memoryBytes: number;
  /** Settled when it runs, or failed to. */
  started: Promise<void>;
  sandboxId?: string;
  containerId?: string;
}

const endedLimit = 10_000;
const fenceMs = 300_000;

export interface Ledger {
  readonly capacity: Capacity;
  byKey(key: string): Instance | undefined;
  byId(id: string): Instance | undefined;
  all(): Iterable<Instance>;
  fence(attempt: string): void;
  isFenced(attempt: string): boolean;
  /** Takes room. Answers why not, in words, when it does not fit. */
  admit(create: Create, instance: Instance): string | undefined;
  /** Gives the room back, once. */
  end(
    instance: Instance,
    state: 'exited' | 'failed' | 'deleted',
    details?: { exitCode?: number; message?: string },
  ): void;
}

export function ledger(total: { cpuMillis: number; memoryBytes: number }, clock: Clock, changed: () => void): Ledger {
  const ids = new Map<string, Instance>();
  const keys = new Map<string, Instance>();
  const fences = new Map<string, number>();
  const ended: string[] = [];
  const holding = new Set<string>();
  let usedCpuMillis = 0;
  let usedMemoryBytes = 0;

  return {
    get capacity() {
      return { ...total, usedCpuMillis, usedMemoryBytes, instances: holding.size };
    },
    byKey: key => keys.get(key),
    byId: id => ids.get(id),
    all: () => ids.values(),
    fence(attempt) {
      const now = clock.now();
      for (const [old, at] of fences) {
        if (now - at < fenceMs) break;
        fences.delete(old);
      }
      fences.set(attempt, now);
    },
    isFenced: attempt => fences.has(attempt),
    admit(create, instance) {
      if (usedCpuMillis + create.cpuMillis > total.cpuMillis) {
        return `cpu: ${create.cpuMillis}m wanted, ${total.cpuMillis - usedCpuMillis}m free`;
      }
      if (usedMemoryBytes + create.memoryBytes > total.memoryBytes) {
        return `memory: ${create.memoryBytes} bytes wanted, ${total.memoryBytes - usedMemoryBytes} free`;
      }
      usedCpuMillis += create.cpuMillis;
      usedMemoryBytes += create.memoryBytes;
      holding.add(instance.id);
      ids.set(instance.id, instance);
      keys.set(create.key, instance);
      changed();
      return undefined;
    },
    end(instance, state, details = {}) {
      if (!holding.delete(instance.id)) {
        if (state === 'deleted') instance.state = state;
        return;
      }
      usedCpuMillis -= instance.cpuMillis;
      usedMemoryBytes -= instance.memoryBytes;
      instance.state = state;
      instance.exitCode = details.exitCode ?? instance.exitCode;
      instance.message = details.message ?? instance.message;
      instance.finishedAt = clock.now();
      ended.push(instance.id);
      // A failed start must not answer a later retry with the same key.
      if (state === 'failed') keys.delete(instance.key);
      while (ended.length > endedLimit) {
        const old = ids.get(ended.shift()!);
        if (!old) continue;
        ids.delete(old.id);
        if (keys.get(old.key) === old) keys.delete(old.key);
      }
      changed();
    },
  };
}
