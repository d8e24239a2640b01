/** rxjs views of an informer. On a subpath of its own, since rxjs is an optional peer. */
import type { KubeObject } from '@orbitkit/core';
import { Observable } from 'rxjs';
import type { InformerEvent } from './event.js';
import type { DeepReadonly } from './read-only.js';
import type { SharedInformer } from './shared-informer.js';

/**
 * The informer's events. Cold: every subscriber gets its own `init` … `initDone`. Completes when the informer stops.
 * A subscriber is called as changes arrive; one that is slow blocks nobody, changes it has not seen are merged.
 */
export function fromInformer<T extends KubeObject>(informer: SharedInformer<T>): Observable<InformerEvent<T>> {
  return new Observable(subscriber => {
    const stop = new AbortController();
    void (async () => {
      try {
        for await (const event of informer.events({ signal: stop.signal })) {
          if (subscriber.closed) return;
          subscriber.next(event);
        }
        subscriber.complete();
      } catch (error) {
        subscriber.error(error);
      }
    })();
    return () => stop.abort();
  });
}

/** All objects, once synced and again after changes; several changes that arrive together are one emission. */
export function objectsOf<T extends KubeObject>(informer: SharedInformer<T>): Observable<readonly DeepReadonly<T>[]> {
  return new Observable(subscriber => {
    let scheduled = false;
    const emit = () => {
      scheduled = false;
      if (!subscriber.closed && informer.synced) subscriber.next(informer.store.list());
    };
    const changed = () => {
      if (scheduled) return;
      scheduled = true;
      queueMicrotask(emit);
    };
    const registration = informer.addHandler({ onAdd: changed, onUpdate: changed, onDelete: changed });
    informer.waitForSync({ timeoutMs: 2 ** 31 - 1 }).then(changed, error => subscriber.error(error));
    return () => registration.remove();
  });
}
