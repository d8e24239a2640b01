/**
 * Keeps the kinds that a server offers in step with the CustomResourceDefinitions in the store, whoever wrote them: an established
 * definition's kinds are served from the moment that this server's watch cache knows it, and gone when it is.
 *
 * Beside that it does, on every server and for all of them (writes compare and swap, so whoever comes second does nothing):
 * - accepts names and sets conditions,
 * - empties what a deleted definition leaves behind, then lets the definition go.
 * Watches of a resource end when its definition changes; clients come back and see the new form.
 */
import {
  type Clock,
  CustomResourceDefinition,
  type DynamicObject,
  isConflict,
  isNotFound,
  type Kind,
  type KindRegistry,
  type Logger,
  type UserInfo,
} from '@orbitkit/core';
import type { RequestContext, Resources } from '../registry/contract.js';
import type { StoredObject } from '../registry/object-bytes.js';
import { resourceIdOf } from '../registry/storage-keys.js';
import type { WatchCache } from '../registry/watch-cache.js';
import { type TakenNames, takenNames } from './accepted-names.js';
import { type Conversion, customKinds, type Definition, noConversion, storedKind } from './custom-kind.js';
import { definitionKind } from './definition-kind.js';
import { isTrue } from './definition-rules.js';
import { statusOf } from './definition-status.js';
import { cleanupFinalizer } from './definition-strategy.js';

export interface CustomResourcesOptions {
  readonly cache: WatchCache;
  readonly resources: Resources;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  /** How objects of a definition with conversion webhooks are converted. */
  readonly conversionOf?: (definition: Definition) => Conversion | undefined;
}

const definitionsId = resourceIdOf(CustomResourceDefinition);

const user: UserInfo = { username: 'system:apiserver', groups: ['system:masters'] };
/** Between looks at what finalizers still hold. */
const cleanupMs = 1_000;

interface Served {
  readonly form: string;
  readonly kinds: readonly Kind<any>[];
}

/** Serves definitions in the place of the plain kind. Idempotent. */
export function serveDefinitions(kinds: KindRegistry): void {
  const builtin = kinds.get(CustomResourceDefinition);
  if (!builtin || definitionKinds.has(builtin)) return;
  const kind = definitionKind(builtin);
  definitionKinds.add(kind);
  kinds.remove(builtin);
  kinds.add(kind);
}
const definitionKinds = new WeakSet<Kind<any>>();

/** Ends with the signal, when what it has begun is finished. The kinds that it added are taken away again. */
export async function followDefinitions(options: CustomResourcesOptions, signal: AbortSignal): Promise<void> {
  const { cache, kinds, log, clock, resources } = options;
  const definitions = new Map<string, Definition>();
  const served = new Map<string, Served>();
  /** Definitions whose status or finalizer is to be looked at. */
  let due = new Set<string>();
  let wake: (() => void) | undefined;
  const later = (name: string): void => {
    due.add(name);
    wake?.();
  };

  function changed(name: string, object: StoredObject | undefined): void {
    const before = definitions.get(name);
    if (object === undefined) {
      definitions.delete(name);
      withdraw(name);
      // Names have become free.
      if (before) for (const [other, each] of definitions) if (each.spec.group === before.spec.group) later(other);
      return;
    }
    const definition = object.object() as unknown as Definition;
    definitions.set(name, definition);
    if (isTrue(definition, 'Established')) offer(name, definition);
    later(name);
  }

  function offer(name: string, definition: Definition): void {
    const { metadata, spec, status } = definition;
    const form = JSON.stringify([
      metadata.generation,
      metadata.uid,
      status?.acceptedNames,
      status?.storedVersions,
      metadata.deletionTimestamp !== undefined,
    ]);
    const known = served.get(name);
    if (known?.form === form) return;
    try {
      const made = customKinds(definition, options.conversionOf?.(definition) ?? noConversion);
      withdraw(name);
      const added: Kind<any>[] = [];
      served.set(name, { form, kinds: added });
      for (const kind of made) {
        kinds.add(kind);
        added.push(kind);
      }
    } catch (error) {
      log.warn('a custom resource cannot be served', { definition: name, group: spec.group, error: String(error) });
    }
  }

  function withdraw(name: string): void {
    const known = served.get(name);
    if (!known) return;
    served.delete(name);
    for (const kind of known.kinds) {
      kinds.remove(kind);
      cache.endWatches(resourceIdOf(kind));
    }
  }

  const stopObserving = cache.observe(definitionsId, {
    changed,
    reset() {
      // What is gone was perhaps deleted while the store was not followed; what is still there is told again, at once.
      const lost = new Set(definitions.keys());
      definitions.clear();
      queueMicrotask(() => {
        for (const name of lost) if (!definitions.has(name)) withdraw(name);
      });
    },
  });

  const context: RequestContext = { user, signal, warn: () => undefined };

  async function look(name: string): Promise<void> {
    const definition = definitions.get(name);
    if (!definition) return;
    if (definition.metadata.deletionTimestamp !== undefined) return empty(name, definition);
    const status = statusOf(definition, taken(definition), clock.now());
    if (status === definition.status) return;
    await resources.updateSubresource(context, kindOf(), { name }, 'status', { value: { ...definition, status } });
  }

  const kindOf = (): Kind => (kinds.get(CustomResourceDefinition) ?? CustomResourceDefinition) as Kind;

  function taken({ metadata, spec }: Definition): TakenNames {
    const others = [...definitions.values()].filter(
      each => each.spec.group === spec.group && each.metadata.name !== metadata.name,
    );
    const own = new Set([...served.values()].flatMap(each => each.kinds));
    return takenNames([
      ...others.flatMap(each => (each.status?.acceptedNames ? [each.status.acceptedNames] : [])),
      ...kinds.kinds
        .filter(kind => kind.group === spec.group && !own.has(kind))
        .map(kind => ({ ...kind, shortNames: [...kind.shortNames] })),
    ]);
  }

  /** Deletes the objects of a definition on its way out; the definition goes when nothing holds them any more. */
  async function empty(name: string, definition: Definition): Promise<void> {
    if (!definition.metadata.finalizers?.includes(cleanupFinalizer)) return;
    const kind = storedKind(definition);
    if (isTrue(definition, 'Established')) {
      await resources.deleteCollection(context, kind, {}, {});
      const { items } = await resources.list(context, kind, { limit: 1 });
      if (items.length > 0) {
        clock.setTimer(cleanupMs, () => later(name));
        return;
      }
    }
    const finalizers = definition.metadata.finalizers.filter(each => each !== cleanupFinalizer);
    const value = { ...definition, metadata: { ...definition.metadata, finalizers } };
    await resources.update(context, kindOf(), { name }, { value: structuredClone(value) as unknown as DynamicObject });
  }

  const onStop = () => wake?.();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    while (!signal.aborted) {
      if (due.size === 0) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
        wake = undefined;
        continue;
      }
      const names = due;
      due = new Set();
      for (const name of names) {
        if (signal.aborted) break;
        try {
          await look(name);
        } catch (error) {
          // Someone else was faster: their write is told here as well.
          if (isConflict(error) || isNotFound(error) || signal.aborted) continue;
          log.warn('the status of a definition could not be written; trying again', {
            definition: name,
            error: String(error),
          });
          clock.setTimer(cleanupMs, () => later(name));
        }
      }
    }
  } finally {
    signal.removeEventListener('abort', onStop);
    stopObserving();
    for (const name of [...served.keys()]) withdraw(name);
  }
}
