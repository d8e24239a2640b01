/**
 * The way from `kubectl apply` to `kubectl apply --server-side`: the annotation in which kubectl keeps what it applied last.
 *
 * What that says and the live object still has may be taken over without conflict; and the annotation is kept up to date, so that
 * the way back stays open. Both only for the manager `kubectl`. Source: apimachinery `managedfields/internal/lastapplied*.go`.
 */
import { isObject, type JsonObject } from '../patch/json.js';
import { compare } from './compare.js';
import { difference, emptySet, type FieldSet } from './field-set.js';
import type { VersionedObject } from './ownership.js';
import { fieldSetOf } from './typed-value.js';

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration';
/** The manager for which the annotation is read and kept. */
export const clientSideApplyManager = 'kubectl';
/** Annotations of one object, in all. */
const annotationLimitBytes = 256 * 1024;

function annotationsOf(object: JsonObject): JsonObject | undefined {
  const metadata = object['metadata'];
  const annotations = isObject(metadata) ? metadata['annotations'] : undefined;
  return isObject(annotations) ? annotations : undefined;
}

/** The fields that were applied last and are as they were applied; empty when nothing can be told. */
export function fieldsAppliedByClient(live: VersionedObject): FieldSet {
  const text = annotationsOf(live.value)?.[lastAppliedAnnotation];
  if (typeof text !== 'string') return emptySet;
  let applied: unknown;
  try {
    applied = JSON.parse(text);
  } catch {
    return emptySet;
  }
  if (!isObject(applied) || applied['apiVersion'] !== live.apiVersion) return emptySet;
  const { added, modified, removed } = compare(live.schema, applied, live.value);
  return [modified, added, removed].reduce(difference, fieldSetOf(live.schema, applied));
}

/** Writes what was applied into the annotation, where the object has one. The object is changed. */
export function keepLastApplied(object: JsonObject, configuration: JsonObject): void {
  const annotations = annotationsOf(object);
  if (annotations?.[lastAppliedAnnotation] === undefined) return;
  const metadata = isObject(configuration['metadata']) ? { ...configuration['metadata'] } : {};
  delete metadata['managedFields'];
  if (isObject(metadata['annotations'])) {
    const { [lastAppliedAnnotation]: _, ...rest } = metadata['annotations'];
    metadata['annotations'] = rest;
  }
  const text = `${JSON.stringify({ ...configuration, metadata })}\n`;
  let others = 0;
  for (const [name, value] of Object.entries(annotations)) {
    if (name !== lastAppliedAnnotation) others += name.length + String(value).length;
  }
  (object['metadata'] as JsonObject)['annotations'] = {
    ...annotations,
    // Too large to keep: the next client-side apply then starts afresh.
    [lastAppliedAnnotation]: others + lastAppliedAnnotation.length + text.length > annotationLimitBytes ? '' : text,
  };
}
