/** How much of the past a store keeps in memory for reads at a revision and for watches that go on. */
import type { VersionIndex } from './version-index.js';

export interface HistoryLimits {
  /** At most this many writes. */
  readonly revisions: number;
  /** At most this many bytes of their values. */
  readonly bytes: number;
}

/** 100,000 writes are five minutes (the age at which Kubernetes compacts) at 330 writes per second; 64 MiB bound their memory. */
export const defaultHistoryLimits: HistoryLimits = { revisions: 100_000, bytes: 64 * 1024 * 1024 };

/** Up to which revision the index must forget to keep the limits. */
export function historyEnd(index: VersionIndex, { revisions, bytes }: HistoryLimits): bigint {
  const { historyLength, historyBytes, trimmed } = index;
  let excess = Math.max(0, historyLength - revisions);
  if (historyBytes > bytes && historyLength > 1) {
    // By the average size: the next commit goes on where this one stops. The newest write always stays.
    const average = historyBytes / historyLength;
    excess = Math.max(excess, Math.min(historyLength - 1, Math.ceil((historyBytes - bytes) / average)));
  }
  return trimmed + BigInt(excess);
}
