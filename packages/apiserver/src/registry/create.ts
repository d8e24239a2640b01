/**
 * Create: decode, fill in, default, admit, name, reserve, validate, store, in the order of kube-apiserver (kube-wire.md 9).
 */
import {
  alreadyExists,
  type DynamicObject,
  decodeStruct,
  type FieldManagers,
  invalid,
  isAlreadyExists,
  type Kind,
} from '@orbitkit/core';
import type { Body, RequestContext, WriteOptions } from './contract.js';
import { ownCreated, setManagers } from './field-tracking.js';
import { reportFields } from './field-validation.js';
import { generateName, prepareMetadataForCreate, requireAbsentVersion, settleNamespace } from './metadata.js';
import { hasStatusSubresource } from './strategy.js';
import { type Decision, dryRunAnswer, type StoredWrite, serialized, writeObject } from './write.js';
import {
  admissionRequest,
  countsGenerations,
  settled,
  targetOf,
  undoneWhenRefused,
  type Writing,
  withReservation,
} from './writing.js';

/** Attempts to find a name that is free (apiserver's RetryGenerateName). */
const nameAttempts = 8;

export async function createObject(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: { name?: string | undefined; namespace?: string | undefined },
  body: Body,
  options: WriteOptions,
): Promise<StoredWrite> {
  const { object: decoded, unknownFields } = kind.decode(body.value);
  reportFields(context, kind, unknownFields, body.duplicateFields ?? [], options);
  return createDecoded(writing, context, kind, key, decoded as DynamicObject, options);
}

/**
 * The object is consumed.
 * @param managers Who owns its fields, when that has been settled (by an apply).
 */
export async function createDecoded(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: { name?: string | undefined; namespace?: string | undefined },
  object: DynamicObject,
  options: WriteOptions,
  managers?: FieldManagers,
): Promise<StoredWrite> {
  const { cache, admission, environment } = writing;
  const strategy = writing.strategies(kind);
  const { metadata } = object;
  settleNamespace(kind, object, key.namespace);
  requireAbsentVersion(object);
  const { namespace } = metadata;
  kind.applyDefaults(object);
  if (managers === undefined) ownCreated(writing, kind, object, options);
  else setManagers(object, managers);
  const asked = { name: metadata.name ?? '', namespace };
  const { dryRun } = options;
  await admission.admit(admissionRequest(context, 'CREATE', kind, asked, { object, dryRun }));
  prepareMetadataForCreate(object, writing.clock.now(), countsGenerations(kind, strategy));
  if (hasStatusSubresource(kind) && !strategy.statusOnCreate) dropStatus(kind, object);
  const generated = !metadata.name && Boolean(metadata.generateName);
  for (let attempt = 1; ; attempt++) {
    if (generated) metadata.name = generateName(metadata.generateName!);
    strategy.prepareCreate?.(object, environment);
    if (attempt === 1) kind.applyDefaults(object);
    try {
      return await store();
    } catch (error) {
      if (!generated || !isAlreadyExists(error) || attempt >= nameAttempts) throw error;
    }
  }

  function store(): Promise<StoredWrite> {
    if (!metadata.name) throw invalid(kind, '', kind.validate(object));
    return withReservation(strategy, object, undefined, context, options, async reservation => {
      const errors = kind.validate(object);
      if (errors.length > 0) throw invalid(kind, metadata.name ?? '', errors);
      const named = { name: metadata.name, namespace };
      const request = admissionRequest(context, 'CREATE', kind, named, { object, dryRun });
      return undoneWhenRefused(request, async () => {
        await admission.validate(request);
        const value = serialized(kind, object);
        const lease =
          strategy.ttlMs === undefined || dryRun ? undefined : await writing.leases.leaseFor(strategy.ttlMs);
        const { object: written } = await writeObject(cache, context, targetOf(kind, named), (current): Decision => {
          if (current !== undefined) throw alreadyExists(kind, metadata.name);
          if (dryRun) return { type: 'answer', object: dryRunAnswer(cache, value, 0n), created: true };
          return { type: 'put', object, value, lease, after: reservation?.committed };
        });
        await settled(request, 'done');
        return { object: written, created: true };
      });
    });
  }
}

/** A new object has the status that nobody has reported yet: the counts that are always there are zero. */
function dropStatus(kind: Kind, object: DynamicObject): void {
  if (object['status'] === undefined) return;
  const { schema } = kind;
  const field = schema.type === 'struct' ? schema.fields.get('status') : undefined;
  object['status'] =
    field === undefined || field.pointer || field.schema.type !== 'struct'
      ? undefined
      : decodeStruct(field.schema, {}, kind).value;
}
