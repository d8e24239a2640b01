/**
 * Growing waits by key: how long a crashing container or a failing pull stays away.
 *
 * A key waits from its last failure: not at all before the first `next`, then `initialMs`, then twice as long each time, up to
 * `maxMs`. A container's key is raised when it is restarted, so its first restart is free. A key that was quiet for twice
 * `maxMs` starts again (10 minutes with upstream's 10 s → 300 s) and is forgotten. Source: client-go
 * `util/flowcontrol.Backoff` as the kubelet uses it.
 */
export interface BackOffs {
  /** Milliseconds that a key must still wait after its failure at `since`; 0 when it may go on. */
  remaining(key: string, since: number): number;
  /** Says that the key is tried again after its failure at `since`: the next wait grows. */
  next(key: string, since: number): void;
  /** The wait that is in force, in milliseconds. */
  current(key: string): number;
  forget(key: string): void;
}

export function backOffs(options: { initialMs: number; maxMs: number; now: () => number }): BackOffs {
  const { initialMs, maxMs, now } = options;
  const entries = new Map<string, { wait: number; at: number }>();
  let sweptAt = now();

  function sweep(): void {
    if (now() - sweptAt < 2 * maxMs) return;
    sweptAt = now();
    for (const [key, entry] of entries) if (now() - entry.at > 2 * maxMs) entries.delete(key);
  }

  return {
    remaining(key, since) {
      const entry = entries.get(key);
      if (!entry || since - entry.at > 2 * maxMs) return 0;
      return Math.max(0, since + entry.wait - now());
    },
    next(key, since) {
      sweep();
      const entry = entries.get(key);
      const expired = !entry || since - entry.at > 2 * maxMs;
      entries.set(key, { wait: expired ? initialMs : Math.min(entry.wait * 2, maxMs), at: now() });
    },
    current: key => entries.get(key)?.wait ?? 0,
    forget: key => void entries.delete(key),
  };
}
