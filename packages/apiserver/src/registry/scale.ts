/** The `scale` subresource: `autoscaling/v1` Scale as a window on `spec.replicas` (kube-wire.md 13). */
import {
  builtinSchema,
  type DynamicObject,
  decodeStruct,
  formatLabelSelector,
  invalid,
  type JsonObject,
  notFound,
} from '@orbitkit/core';
import { decodeValue } from '../storage/value.js';
import { applied, applyPatchType, checkConfiguration, readConfiguration } from './apply.js';
import type { Body, PatchBody } from './contract.js';
import { setManagers } from './field-tracking.js';
import { reportFields } from './field-validation.js';
import { copyJson } from './json-value.js';
import { checkPreconditions, settleKey } from './metadata.js';
import { type ReadonlyObject, StoredObject, serialize } from './object-bytes.js';
import { checkPatchType, patched } from './patch.js';
import type { ScaleOf } from './strategy.js';
import { replaceObject, type UpdateRequest } from './update.js';
import type { WatchCache } from './watch-cache.js';
import type { StoredWrite } from './write.js';
import type { Writing } from './writing.js';

const scaleKind = { group: 'autoscaling', version: 'v1', kind: 'Scale' };
const scaleSchema = () => builtinSchema('autoscaling/v1.Scale');

/** For kinds whose replicas, observed replicas and selector stand where Deployments have them. */
export const workloadScale: ScaleOf = {
  replicas: object => object['spec']?.replicas ?? 0,
  observed: object => object['status']?.replicas ?? 0,
  selector: object => (object['spec']?.selector === undefined ? '' : formatLabelSelector(object['spec'].selector)),
  set: (object, replicas) => {
    object['spec'].replicas = replicas;
  },
};

/** For ReplicationControllers, whose selector is a plain set of labels. */
export const labelSetScale: ScaleOf = {
  ...workloadScale,
  selector: object => {
    const labels: Record<string, string> = object['spec']?.selector ?? {};
    return Object.keys(labels).length === 0 ? '' : formatLabelSelector({ matchLabels: labels });
  },
};

function scaleObject(scale: ScaleOf, object: ReadonlyObject): DynamicObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector = scale.selector(object);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: scale.replicas(object) },
    status: { replicas: scale.observed(object), ...(selector === '' ? {} : { selector }) },
  } as DynamicObject;
}

/** The Scale of one version of an object, as bytes of their own. */
export function scaleBytes(cache: WatchCache, scale: ScaleOf, of: StoredObject): StoredObject {
  return new StoredObject(decodeValue(serialize(scaleObject(scale, of.object()))), of.revision, cache.forms);
}

function decodeScale(
  request: UpdateRequest,
  value: unknown,
  duplicate: readonly string[],
  isPatch: boolean,
): DynamicObject {
  const { value: decoded, unknownFields } = decodeStruct(scaleSchema(), value ?? {}, scaleKind);
  const { context, kind, options, key } = request;
  reportFields(context, { ...kind, ...scaleKind }, unknownFields, duplicate, options, isPatch);
  const object = decoded as DynamicObject;
  object.metadata ??= {} as DynamicObject['metadata'];
  settleKey(kind, object, key);
  const replicas = object['spec']?.replicas ?? 0;
  if (replicas < 0) {
    throw invalid(scaleKind, key.name, [
      {
        field: 'spec.replicas',
        type: 'FieldValueInvalid',
        message: `Invalid value: ${replicas}: must be greater than or equal to 0`,
      },
    ]);
  }
  return object;
}

export async function writeScale(
  writing: Writing,
  request: UpdateRequest,
  scale: ScaleOf,
  change: { body: Body } | { patch: PatchBody },
): Promise<StoredWrite> {
  const { kind, key } = request;
  if ('patch' in change && change.patch.contentType === applyPatchType)
    return applyScale(writing, request, scale, change.patch);
  const given =
    'body' in change ? decodeScale(request, change.body.value, change.body.duplicateFields ?? [], false) : undefined;
  if ('patch' in change) checkPatchType(kind, change.patch.contentType);
  const { object, created } = await replaceObject(
    writing,
    { ...request, subresource: undefined, ownedAs: 'scale' },
    current => {
      if (current === undefined) throw notFound(kind, key.name);
      const old = current.object();
      const wanted =
        given ??
        decodeScale(
          request,
          patched(scaleSchema(), scaleObject(scale, old), (change as { patch: PatchBody }).patch),
          [],
          true,
        );
      checkPreconditions(kind, key.name, old, wanted.metadata);
      const next = current.copy();
      scale.set(next, wanted['spec']?.replicas ?? 0);
      return next;
    },
    () => {
      throw notFound(kind, key.name);
    },
  );
  return { object: scaleBytes(writing.cache, scale, object), created };
}

/** Who applies a Scale owns the replicas of the object, as far as the Scale names them. */
async function applyScale(
  writing: Writing,
  request: UpdateRequest,
  scale: ScaleOf,
  patch: PatchBody,
): Promise<StoredWrite> {
  const { kind, key, options } = request;
  const configuration = readConfiguration(scaleKind, patch);
  checkConfiguration({ ...scaleKind, schema: scaleSchema() }, key, configuration.value);
  const wanted = decodeScale(request, copyJson(configuration.value), patch.duplicateFields ?? [], true);
  const named = (configuration.value['spec'] as DynamicObject | undefined)?.['replicas'] !== undefined;
  const parent = { spec: {} } as unknown as DynamicObject;
  if (named) scale.set(parent, wanted['spec'].replicas);
  const { object, created } = await replaceObject(
    writing,
    { ...request, subresource: undefined, managersSettled: true },
    current => {
      if (current === undefined) throw notFound(kind, key.name);
      const value = parent as unknown as JsonObject;
      const outcome = applied(writing, kind, key.name, current.object(), { ...configuration, value }, options, 'scale');
      const next = current.copy();
      if (named) scale.set(next, wanted['spec'].replicas);
      setManagers(next, outcome.managers);
      return next;
    },
    () => {
      throw notFound(kind, key.name);
    },
  );
  return { object: scaleBytes(writing.cache, scale, object), created };
}
