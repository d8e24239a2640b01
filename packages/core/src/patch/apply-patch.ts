/** One door for the three patch types of the API. Pure: the object is not changed. */

import type { Patch } from '../client/client.js';
import { badRequest, StatusError } from '../errors/status-error.js';
import type { Schema } from '../kinds/schema.js';
import { isObject, type Json, type JsonObject } from './json.js';
import { applyJsonPatch } from './json-patch.js';
import { applyMergePatch } from './merge-patch.js';
import { applyStrategicPatch } from './strategic-patch.js';

/** Content types of PATCH requests. */
export const patchContentTypes: Readonly<Record<Patch['type'], string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
};

/**
 * @param schema The kind's; a strategic patch is refused without one (UnsupportedMediaType, as for custom resources).
 * @throws StatusError BadRequest, Invalid, UnsupportedMediaType or RequestEntityTooLarge.
 */
export function applyPatch(
  object: object,
  { type, patch }: { type: Patch['type']; patch: unknown },
  schema?: Schema,
): JsonObject {
  if (type === 'strategic') {
    if (!schema) {
      throw new StatusError(
        'UnsupportedMediaType',
        `the body of the request was in an unknown format - accepted media types include: ${patchContentTypes.json}, ${patchContentTypes.merge}`,
      );
    }
    return applyStrategicPatch(object, patch, schema);
  }
  const result = type === 'json' ? applyJsonPatch(object as Json, patch) : applyMergePatch(object as Json, patch);
  if (!isObject(result)) throw badRequest('the patch leaves no object');
  return result;
}
