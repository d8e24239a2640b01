/**
 * When each node was last heard of: its lease was renewed, or it posted its status.
 *
 * Times are our own, taken when a change is seen; the times that nodes write are only compared with themselves, so clocks
 * need not agree. A controller that starts gives every node a fresh grace, and while nothing can be heard (the watch is
 * broken, the process was stopped) nobody is judged.
 */
import type { Lease, Node } from '@orbitkit/core';
import { findCondition } from '@orbitkit/core';
import type { DeepReadonly } from '@orbitkit/informer';

interface Heard {
  at: number;
  lease: string | undefined;
  status: string | undefined;
}

export class Heartbeats {
  readonly #heard = new Map<string, Heard>();

  /** Takes in what the caches show of a node. */
  observe(node: DeepReadonly<Node>, lease: DeepReadonly<Lease> | undefined, now: number): void {
    const ready = findCondition(node.status.conditions, 'Ready');
    const status = ready && (ready.status === 'Unknown' ? undefined : `${ready.lastHeartbeatTime} ${ready.status}`);
    const renewed = lease?.spec.renewTime;
    const before = this.#heard.get(node.metadata.uid);
    if (!before) {
      this.#heard.set(node.metadata.uid, { at: now, lease: renewed, status });
      return;
    }
    // Being declared unknown is no sign of life, and neither is a lease that went away.
    const alive =
      (renewed !== undefined && renewed !== before.lease) || (status !== undefined && status !== before.status);
    if (alive) before.at = now;
    before.lease = renewed ?? before.lease;
    before.status = status ?? before.status;
  }

  /** Milliseconds since the node was heard of. */
  silenceMs(node: DeepReadonly<Node>, now: number): number {
    return now - (this.#heard.get(node.metadata.uid)?.at ?? now);
  }

  /** For `ms` nothing could be heard: that time counts for nobody. */
  forgive(ms: number, now: number): void {
    for (const heard of this.#heard.values()) heard.at = Math.min(now, heard.at + ms);
  }

  forget(uid: string): void {
    this.#heard.delete(uid);
  }
}
