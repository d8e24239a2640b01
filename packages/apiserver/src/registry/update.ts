/**
 * Update: what a PUT and the outcome of a patch have in common (kube-wire.md 9).
 *
 * Without resourceVersion the newest version is replaced, whatever it is, unless the kind demands one; with one, only that version. A write that changes
 * nothing keeps the resourceVersion and makes no event. Status and the rest are written apart; only changes of the rest count as
 * generations. The update that takes the last finalizer off an object on its way out removes it.
 */
import { type DynamicObject, type FieldManagers, invalid, type Kind, notFound } from '@orbitkit/core';
import type { Body, RequestContext, ResourceKey, WriteOptions } from './contract.js';
import { createDecoded } from './create.js';
import { vanishesNow } from './delete.js';
import { ownUpdated, setManagers } from './field-tracking.js';
import { reportFields } from './field-validation.js';
import { sameJson } from './json-value.js';
import { checkPreconditions, keepMetadata, settleKey } from './metadata.js';
import type { ReadonlyObject, StoredObject } from './object-bytes.js';
import { hasStatusSubresource, type PartOf, type Strategy } from './strategy.js';
import { type Decision, dryRunAnswer, type StoredWrite, serialized, unchanged, writeObject } from './write.js';
import {
  admissionRequest,
  countsGenerations,
  desiredState,
  settled,
  targetOf,
  undoneWhenRefused,
  type Writing,
  withReservation,
} from './writing.js';

/** How a subresource in the form of the object is written: what is given, put into what is there. */
export function partOf(strategy: Strategy, subresource: string): PartOf | undefined {
  return strategy.parts?.[subresource] ?? (subresource === 'status' ? statusOf : undefined);
}

/** Nothing but status: neither spec nor labels. */
const statusOf: PartOf = (given, current) => ({ ...current, status: given['status'] });

export interface UpdateRequest {
  readonly context: RequestContext;
  readonly kind: Kind;
  readonly key: ResourceKey;
  readonly options: WriteOptions;
  readonly subresource?: string | undefined;
  /** Whose entries of managedFields it makes, where that is not `subresource` (a Scale is a window on the object). */
  readonly ownedAs?: string | undefined;
  /** The objects come with their managers settled (by an apply). */
  readonly managersSettled?: boolean;
}

export async function updateObject(writing: Writing, request: UpdateRequest, body: Body): Promise<StoredWrite> {
  const { context, kind, key, options, subresource } = request;
  const { object: decoded, unknownFields } = kind.decode(body.value);
  reportFields(context, kind, unknownFields, body.duplicateFields ?? [], options);
  const given = decoded as DynamicObject;
  settleKey(kind, given, key);
  const { uid } = given.metadata;
  const resourceVersion = given.metadata.resourceVersion === '0' ? undefined : given.metadata.resourceVersion;
  // A write without version may have to start again; the object is changed on the way, so its text is kept.
  const text = resourceVersion ? undefined : JSON.stringify(given);
  let round = 0;
  return replaceObject(
    writing,
    request,
    current => {
      if (current === undefined) {
        if (subresource === undefined && writing.strategies(kind).createOnUpdate) return undefined;
        throw notFound(kind, key.name);
      }
      checkPreconditions(kind, key.name, current.object(), { uid, resourceVersion });
      if (!resourceVersion && writing.strategies(kind).versionRequired) throw versionRequired(kind, key.name);
      return round++ === 0 || text === undefined ? given : (JSON.parse(text) as DynamicObject);
    },
    () => {
      given.metadata.resourceVersion = undefined as never;
      return createDecoded(writing, context, kind, key, given, options);
    },
  );
}

/** In the words of apiserver's generic store, which name the resource where others name the kind. */
const versionRequired = ({ group, plural }: Kind, name: string): unknown =>
  invalid({ group, kind: plural }, name, [
    {
      field: 'metadata.resourceVersion',
      type: 'FieldValueInvalid',
      message: 'Invalid value: 0x0: must be specified for an update',
    },
  ]);

/**
 * Writes what `make` makes of the current version, as often as it takes. `make` answers undefined to create instead.
 */
export async function replaceObject(
  writing: Writing,
  request: UpdateRequest,
  make: (current: StoredObject | undefined) => DynamicObject | undefined | Promise<DynamicObject | undefined>,
  create: () => Promise<StoredWrite>,
): Promise<StoredWrite> {
  const { cache } = writing;
  const { context, kind, key } = request;
  let absent = false;
  const result = await writeObject(cache, context, targetOf(kind, key), async current => {
    const made = make(current);
    const object = made instanceof Promise ? await made : made;
    absent = object === undefined;
    // The answer is not used: it only has to be confirmed that there is nothing.
    if (object === undefined) return { type: 'answer', object: undefined as never };
    return decideUpdate(writing, request, current!, object);
  });
  if (absent) return create();
  if (result.outcome === 'deleted') {
    const gone = result.object.object();
    await writing
      .strategies(kind)
      .released?.(gone)
      .catch(() => undefined);
    await writing.admission.removed(kind, gone);
  }
  return { object: result.object, created: false };
}

async function decideUpdate(
  writing: Writing,
  request: UpdateRequest,
  current: StoredObject,
  given: DynamicObject,
): Promise<Decision> {
  const { cache, admission, environment } = writing;
  const { context, kind, key, options, subresource } = request;
  const { dryRun } = options;
  const strategy = writing.strategies(kind);
  const old = current.object();
  const settledManagers = given.metadata.managedFields as FieldManagers | undefined;
  let object = given;
  if (subresource !== undefined) {
    const part = partOf(strategy, subresource);
    if (part === undefined) throw notFound(kind, `${key.name}/${subresource}`);
    object = part(given, current.copy());
  }
  keepMetadata(object, old);
  kind.applyDefaults(object);
  if (request.managersSettled) setManagers(object, settledManagers ?? []);
  else ownUpdated(writing, kind, object, old, options, request.ownedAs ?? subresource);
  await admission.admit(
    admissionRequest(context, 'UPDATE', kind, key, { object, oldObject: old, subresource, dryRun }),
  );
  // After everything that could change it: the stored status is shared.
  if (subresource === undefined && hasStatusSubresource(kind)) keepStatus(object, old['status']);
  if (subresource === undefined) strategy.prepareUpdate?.(object, old, environment);
  if (countsGenerations(kind, strategy) && !sameJson(desiredState(object), desiredState(old))) {
    object.metadata.generation = (old.metadata.generation ?? 0) + 1;
  }
  return withReservation(strategy, object, old, context, options, async reservation => {
    const rules = subresource === undefined ? undefined : strategy.partRules?.[subresource];
    const validate = (next: DynamicObject, before: ReadonlyObject) => kind.validate(next, before as DynamicObject);
    const errors = rules ? rules(object, old, validate) : validate(object, old);
    if (errors.length > 0) throw invalid(kind, key.name, errors);
    const asked = admissionRequest(context, 'UPDATE', kind, key, { object, oldObject: old, subresource, dryRun });
    return undoneWhenRefused(asked, async () => {
      await admission.validate(asked);
      const undo = async () => {
        await reservation?.release();
        await settled(asked, 'undone');
      };
      const value = serialized(kind, object);
      if (unchanged(current, old, object, value)) {
        await undo();
        return { type: 'answer', object: current };
      }
      if (dryRun) return { type: 'answer', object: dryRunAnswer(cache, value, current.revision) };
      if (vanishesNow(strategy, object)) return { type: 'delete', last: value, undo };
      const lease = strategy.ttlMs === undefined ? undefined : await writing.leases.leaseFor(strategy.ttlMs);
      const after = async () => {
        await reservation?.committed?.();
        await settled(asked, 'done');
      };
      return { type: 'put', object, value, lease, undo, after };
    });
  });
}

function keepStatus(object: DynamicObject, status: unknown): void {
  if (status === undefined) delete object['status'];
  else object['status'] = status;
}
