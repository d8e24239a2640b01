/**
 * Patch: JSON patch, merge patch, strategic merge patch and server-side apply of the newest version (kube-wire.md 9, 10, 11). A patch
 * that names a resourceVersion is a compare-and-swap; one that does not is applied again when another write was faster. An apply
 * creates what is not there.
 */
import {
  applyPatch,
  type DynamicObject,
  isAlreadyExists,
  type Kind,
  notFound,
  type Patch,
  type Schema,
  StatusError,
  staleVersion,
} from '@orbitkit/core';
import { applied, applyPatchType, checkConfiguration, readConfiguration } from './apply.js';
import type { PatchBody } from './contract.js';
import { createDecoded } from './create.js';
import { setManagers } from './field-tracking.js';
import { reportFields } from './field-validation.js';
import { settleKey } from './metadata.js';
import type { ReadonlyObject, StoredObject } from './object-bytes.js';
import { replaceObject, type UpdateRequest } from './update.js';
import type { StoredWrite } from './write.js';
import type { Writing } from './writing.js';

const patchTypes: Readonly<Record<string, Patch['type']>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
};
/** @throws StatusError UnsupportedMediaType */
export function checkPatchType(kind: Kind, contentType: string): void {
  if (!patchTypesOf(kind).includes(contentType)) {
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - accepted media types include: ${patchTypesOf(kind).join(', ')}`,
    );
  }
}

/** Strategic merge needs to know how lists merge: neither kinds that keep what they do not know can, nor those of definitions. */
export function patchTypesOf(kind: Kind): string[] {
  return [...Object.keys(patchTypes), applyPatchType].filter(
    type => patchTypes[type] !== 'strategic' || (kind.custom === undefined && mergeSchema(kind.schema) !== undefined),
  );
}

const mergeSchema = (schema: Schema): Schema | undefined =>
  schema.type === 'struct' && !schema.preserveUnknownFields ? schema : undefined;

/** The patched form of a document of the caller's own. @throws StatusError */
export function patched(schema: Schema, document: DynamicObject, patch: PatchBody): DynamicObject {
  const type = patchTypes[patch.contentType]!;
  return applyPatch(document, { type, patch: patch.value }, mergeSchema(schema)) as unknown as DynamicObject;
}

export async function patchObject(writing: Writing, request: UpdateRequest, patch: PatchBody): Promise<StoredWrite> {
  const { context, kind, key, options } = request;
  checkPatchType(kind, patch.contentType);
  if (patch.contentType === applyPatchType) return applyObject(writing, request, patch);
  // A patch that is applied again must not warn again.
  const warnings = new Set<string>();
  const collecting = { ...context, warn: (text: string) => void warnings.add(text) };
  const written = await replaceObject(
    writing,
    { ...request, context: collecting },
    current => {
      if (current === undefined) throw notFound(kind, key.name);
      const finish = (result: DynamicObject): DynamicObject => {
        const { resourceVersion } = result.metadata ?? {};
        if (resourceVersion && resourceVersion !== '0' && resourceVersion !== String(current.revision)) {
          throw staleVersion(kind, key.name);
        }
        const { object, unknownFields } = kind.decode(result);
        reportFields(collecting, kind, unknownFields, patch.duplicateFields ?? [], options, true);
        settleKey(kind, object as DynamicObject, key);
        return object as DynamicObject;
      };
      if (patch.apply) return Promise.resolve(patch.apply(current.copy())).then(finish);
      return finish(patched(kind.schema, current.copy(), patch));
    },
    () => {
      throw notFound(kind, key.name);
    },
  );
  for (const warning of warnings) context.warn(warning);
  return written;
}

/** Attempts when what was absent has been created meanwhile, or the other way round. */
const applyAttempts = 5;

async function applyObject(writing: Writing, request: UpdateRequest, patch: PatchBody): Promise<StoredWrite> {
  const { context, kind, key, options, subresource } = request;
  const configuration = readConfiguration(kind, patch);
  checkConfiguration(kind, key, configuration.value);
  reportFields(context, kind, [], patch.duplicateFields ?? [], options, true);
  const apply = (live: ReadonlyObject | undefined) => {
    const { object: merged, managers } = applied(writing, kind, key.name, live, configuration, options, subresource);
    const object = kind.decode(merged).object as DynamicObject;
    settleKey(kind, object, key);
    return { object, managers };
  };
  const update = (current: StoredObject | undefined) => {
    if (current === undefined) {
      if (subresource !== undefined) throw notFound(kind, key.name);
      return undefined;
    }
    const { object, managers } = apply(current.object());
    setManagers(object, managers);
    return object;
  };
  const create = async () => {
    const { object, managers } = apply(undefined);
    await context.mayCreate?.();
    return createDecoded(writing, context, kind, key, object, options, managers);
  };
  for (let attempt = 1; ; attempt++) {
    try {
      return await replaceObject(writing, { ...request, managersSettled: true }, update, create);
    } catch (error) {
      if (!isAlreadyExists(error) || attempt >= applyAttempts) throw error;
    }
  }
}
