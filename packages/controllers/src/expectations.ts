/**
 * What a controller has done that its cache does not show yet.
 *
 * A controller that created two pods and is called again before its cache has them would create two more. So it notes
 * what it expects before it acts, and does not act on a key again until everything was observed. Contract of client-go's
 * `ControllerExpectations`: expectations that are five minutes old are taken as met, since an event may be lost to
 * nobody's fault, and surplus is corrected by the next look.
 */
import { type Clock, isDeleting, type ObjectMeta, systemClock } from '@orbitkit/core';

/** kube-controller-manager `ExpectationsTimeout`. */
export const expectationTimeoutMs = 300_000;

type Seen = Readonly<Pick<ObjectMeta, 'uid' | 'deletionTimestamp'>>;

interface Expectation {
  creations: number;
  /** uids whose deletion is to be seen. */
  deletions: Set<string>;
  since: number;
}

/** The expectations of one controller, by key. */
export class Expectations {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Expectation>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Call before acting. Replaces what was expected of the key, which `satisfied` said is met. */
  expect(key: string, expected: { creations?: number; deletions?: Iterable<string> }): void {
    this.#byKey.set(key, {
      creations: expected.creations ?? 0,
      deletions: new Set(expected.deletions),
      since: this.#clock.now(),
    });
  }

  /** A creation was seen, or did not happen after all. */
  creationObserved(key: string, count = 1): void {
    const expectation = this.#byKey.get(key);
    if (expectation) expectation.creations -= count;
  }

  /** A deletion was seen, or did not happen after all. */
  deletionObserved(key: string, uid: string): void {
    this.#byKey.get(key)?.deletions.delete(uid);
  }

  /**
   * What an informer says of one of the key's objects. Only `added` is a creation: an update of an object that was there before says nothing
   * of those that are awaited. One that is on its way out when it is seen counts as deleted.
   */
  seen(key: string, object: { readonly metadata: Seen }, how: 'added' | 'updated' | 'deleted'): void {
    if (how === 'deleted' || isDeleting(object)) this.deletionObserved(key, object.metadata.uid);
    else if (how === 'added') this.creationObserved(key);
  }

  /** Whether the cache shows everything that was done, or has had its time. */
  satisfied(key: string): boolean {
    const expectation = this.#byKey.get(key);
    if (!expectation) return true;
    if (expectation.creations <= 0 && expectation.deletions.size === 0) return true;
    return this.#clock.now() - expectation.since > expectationTimeoutMs;
  }

  /** Milliseconds until the expectations of the key run out; undefined when there are none. */
  remainingMs(key: string): number | undefined {
    const expectation = this.#byKey.get(key);
    return expectation && Math.max(0, expectationTimeoutMs - (this.#clock.now() - expectation.since));
  }

  /** The key's object is gone. */
  forget(key: string): void {
    this.#byKey.delete(key);
  }
}
