/**
 * One union for everything that an informer can say, instead of a callback each (the shape is kube-rs' watcher event).
 *
 * A (re)list is `init`, then one `initApply` per object that exists, then `initDone`: what was not named between the two
 * no longer exists. Between lists `apply` and `delete` say what changed.
 */
import type { DeepReadonly } from './read-only.js';

/** One thing that an informer's stream says. */
export type InformerEvent<T> =
  | { type: 'init' }
  | { type: 'initApply'; object: DeepReadonly<T> }
  | { type: 'initDone' }
  | { type: 'apply'; object: DeepReadonly<T>; previous?: DeepReadonly<T> }
  | {
      type: 'delete';
      /** Its final state; the last known one when the deletion itself was missed. */
      object: DeepReadonly<T>;
      finalStateUnknown: boolean;
    };
