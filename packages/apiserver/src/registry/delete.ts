/**
 * Deletion: at once, after a grace, or when the last finalizer is gone (kube-wire.md 12; apiserver `registry/rest/delete.go` and the
 * generic store). An object on its way out carries deletionTimestamp and deletionGracePeriodSeconds; a second deletion can shorten
 * the grace and changes nothing else. Foreground and Orphan leave a finalizer for the garbage collector.
 */
import {
  conflict,
  type DynamicObject,
  formatTime,
  invalid,
  isNotFound,
  type Kind,
  type metav1,
  notFound,
  parseTime,
} from '@orbitkit/core';
import type { Deleted, DeleteOptions, ListOptions, ListResult, RequestContext, ResourceKey } from './contract.js';
import type { ReadonlyObject, StoredObject } from './object-bytes.js';
import { listObjects } from './read.js';
import type { Strategy } from './strategy.js';
import { type Decision, dryRunAnswer, serialized, writeObject } from './write.js';
import { admissionRequest, targetOf, type Writing } from './writing.js';

const foreground = 'foregroundDeletion';
const orphan = 'orphan';

/** Whether nothing holds an object any more that is on its way out: an update that leads here removes it. */
export function vanishesNow(strategy: Strategy, object: ReadonlyObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  if (deletionTimestamp === undefined || (finalizers?.length ?? 0) > 0) return false;
  if ((deletionGracePeriodSeconds ?? 0) !== 0) return false;
  return strategy.gone?.(object) ?? true;
}

/** @throws StatusError Invalid */
function checkDeleteOptions({ propagationPolicy, orphanDependents, gracePeriodSeconds }: DeleteOptions): void {
  const errors: Parameters<typeof invalid>[2][number][] = [];
  const policies = ['Foreground', 'Background', 'Orphan'];
  if (propagationPolicy !== undefined && !policies.includes(propagationPolicy)) {
    errors.push({
      field: 'propagationPolicy',
      type: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(propagationPolicy)}: supported values: "Background", "Foreground", "Orphan"`,
    });
  }
  if (propagationPolicy !== undefined && orphanDependents !== undefined) {
    errors.push({
      field: 'propagationPolicy',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  }
  if (gracePeriodSeconds !== undefined && !Number.isSafeInteger(gracePeriodSeconds)) {
    errors.push({
      field: 'gracePeriodSeconds',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(gracePeriodSeconds)}: must be a whole number of seconds`,
    });
  }
  if (errors.length > 0) throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', errors);
}

export async function deleteObject(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  options: DeleteOptions,
): Promise<Deleted> {
  checkDeleteOptions(options);
  const result = await remove(writing, context, kind, key, options);
  return result.gone
    ? { type: 'status', status: success(kind, result.object.object()) }
    : { type: 'object', object: result.object };
}

async function remove(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  options: DeleteOptions,
): Promise<{ gone: boolean; object: StoredObject }> {
  const strategy = writing.strategies(kind);
  const { warning } = strategy.orphansByDefault ?? {};
  if (warning !== undefined && options.propagationPolicy === undefined && options.orphanDependents === undefined)
    context.warn(warning);
  let goneDry = false;
  const result = await writeObject(writing.cache, context, targetOf(kind, key), async (current): Promise<Decision> => {
    goneDry = false;
    if (current === undefined) throw notFound(kind, key.name);
    const old = current.object();
    checkDeletePreconditions(kind, key.name, old, options);
    const { dryRun } = options;
    const request = admissionRequest(context, 'DELETE', kind, key, { oldObject: old, dryRun });
    await writing.admission.admit(request);
    await writing.admission.validate(request);
    const next = afterDeletion(writing, strategy, old, current, options);
    if (next === 'keep') return { type: 'answer', object: current };
    if (next === 'remove') {
      if (!dryRun) return { type: 'delete' };
      goneDry = true;
      return { type: 'answer', object: current };
    }
    const value = serialized(kind, next);
    if (dryRun) return { type: 'answer', object: dryRunAnswer(writing.cache, value, current.revision) };
    return { type: 'put', object: next, value };
  });
  if (result.outcome === 'deleted') {
    const gone = result.object.object();
    await strategy.released?.(gone).catch(() => undefined);
    await writing.admission.removed(kind, gone);
  }
  return { gone: goneDry || result.outcome === 'deleted', object: result.object };
}

/** What becomes of the object: it stays as it is, it vanishes, or it is marked. */
function afterDeletion(
  writing: Writing,
  strategy: Strategy,
  old: ReadonlyObject,
  current: StoredObject,
  options: DeleteOptions,
): 'keep' | 'remove' | DynamicObject {
  const { deletionTimestamp, deletionGracePeriodSeconds: pendingGrace } = old.metadata;
  const finalizers = finalizersFor(old.metadata.finalizers ?? [], options, strategy.orphansByDefault !== undefined);
  const sameFinalizers = finalizers.join() === (old.metadata.finalizers ?? []).join();
  const grace = strategy.graceSeconds?.(old, options.gracePeriodSeconds);

  if (strategy.beginDeletion !== undefined) {
    if (deletionTimestamp === undefined) {
      const object = current.copy();
      if (strategy.beginDeletion(object, writing.environment)) {
        // What the strategy itself wants to wait for stays.
        const added = (object.metadata.finalizers ?? []).filter(each => !old.metadata.finalizers?.includes(each));
        object.metadata.finalizers = [...finalizers, ...added];
        object.metadata.deletionTimestamp = formatTime(writing.clock.now());
        return object;
      }
    } else if (!(strategy.gone?.(old) ?? true)) return 'keep';
  }

  if (deletionTimestamp !== undefined && grace !== undefined && pendingGrace !== undefined) {
    const wish = options.gracePeriodSeconds;
    if (wish === undefined || Math.max(0, wish) >= pendingGrace) {
      // The grace that runs goes on; it cannot be lengthened.
      if (pendingGrace > 0 || finalizers.length > 0) return 'keep';
      return 'remove';
    }
    const seconds = Math.max(0, wish);
    if (seconds === 0 && finalizers.length === 0) return 'remove';
    const object = current.copy();
    const end = parseTime(deletionTimestamp)! - (pendingGrace - seconds) * 1000;
    object.metadata.deletionTimestamp = formatTime(end);
    object.metadata.deletionGracePeriodSeconds = seconds;
    object.metadata.finalizers = finalizers;
    return object;
  }

  if (finalizers.length === 0 && (grace ?? 0) === 0) return 'remove';
  if (deletionTimestamp !== undefined && sameFinalizers) return 'keep';
  const object = current.copy();
  object.metadata.finalizers = finalizers;
  if (deletionTimestamp === undefined) {
    object.metadata.deletionTimestamp = formatTime(writing.clock.now() + (grace ?? 0) * 1000);
    object.metadata.deletionGracePeriodSeconds = grace ?? 0;
    if (object.metadata.generation) object.metadata.generation += 1;
  }
  return object;
}

/** The garbage collector's finalizers follow the policy of the deletion; without a wish they stay as they are. */
function finalizersFor(
  finalizers: readonly string[],
  { propagationPolicy, orphanDependents }: DeleteOptions,
  orphansByDefault: boolean,
): string[] {
  let policy =
    propagationPolicy ?? (orphanDependents === undefined ? undefined : orphanDependents ? 'Orphan' : 'Background');
  // A finalizer that is there is a wish too.
  if (policy === undefined && orphansByDefault && !finalizers.includes(foreground)) policy = 'Orphan';
  if (policy === undefined) return [...finalizers];
  const others = finalizers.filter(each => each !== foreground && each !== orphan);
  if (policy === 'Foreground') others.push(foreground);
  if (policy === 'Orphan') others.push(orphan);
  return others;
}

function checkDeletePreconditions(
  kind: Kind,
  name: string,
  old: ReadonlyObject,
  { preconditions }: DeleteOptions,
): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid !== undefined && uid !== old.metadata.uid) {
    throw conflict(
      kind,
      name,
      `the UID in the precondition (${uid}) does not match the UID in record (${old.metadata.uid}). The object might have been deleted and then recreated`,
    );
  }
  if (resourceVersion !== undefined && resourceVersion !== old.metadata.resourceVersion) {
    throw conflict(
      kind,
      name,
      `the ResourceVersion in the precondition (${resourceVersion}) does not match the ResourceVersion in record (${old.metadata.resourceVersion}). The object might have been modified`,
    );
  }
}

function success(kind: Kind, object: ReadonlyObject): metav1.Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name: object.metadata.name,
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.plural,
      uid: object.metadata.uid,
    },
  } as metav1.Status;
}

/** Deletes what the selection names, a few at a time; what vanished meanwhile is left out. */
export async function deleteCollection(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  options: DeleteOptions,
  selection: ListOptions,
): Promise<ListResult> {
  checkDeleteOptions(options);
  const list = await listObjects(writing.cache, kind, selection, context.signal);
  const results: (StoredObject | undefined)[] = new Array(list.items.length).fill(undefined);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < list.items.length) {
      const at = next++;
      const { name, namespace } = list.items[at]!.object().metadata;
      try {
        const { object } = await remove(writing, context, kind, { name, namespace }, options);
        results[at] = object;
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: 16 }, worker));
  return { ...list, items: results.filter(each => each !== undefined) };
}
