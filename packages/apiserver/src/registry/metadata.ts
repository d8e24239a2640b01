/**
 * Metadata that the server owns: what a create fills in, what an update keeps (apiserver `registry/rest` BeforeCreate, BeforeUpdate).
 */
import { randomInt, randomUUID } from 'node:crypto';
import {
  badRequest,
  conflict,
  type DynamicObject,
  formatTime,
  type Kind,
  StatusError,
  staleVersion,
} from '@orbitkit/core';
import type { ResourceKey } from './contract.js';
import type { ReadonlyObject } from './object-bytes.js';

const nameCharacters = 'bcdfghjklmnpqrstvwxz2456789';
/** A generated name is at most as long as a label. */
const maxGeneratedStem = 63 - 5;

/** The prefix and five characters; apiserver `names.SimpleNameGenerator`. */
export function generateName(prefix: string): string {
  let name = prefix.slice(0, maxGeneratedStem);
  for (let i = 0; i < 5; i++) name += nameCharacters[randomInt(nameCharacters.length)];
  return name;
}

/**
 * A key must name one object of its kind and no other: what is authorised is the key, what is read is the path made of it.
 * @throws StatusError BadRequest
 */
export function checkKey(kind: Kind, { name, namespace }: ResourceKey): void {
  if (name === '' || name === '.' || name === '..' || /[/%\0]/.test(name)) {
    throw badRequest(
      `invalid resource name ${JSON.stringify(name)}: it may not be empty, ".", ".." or contain "/" or "%"`,
    );
  }
  if (kind.namespaced ? !namespace || /[/%\0]/.test(namespace) : Boolean(namespace)) {
    throw badRequest(
      kind.namespaced
        ? `${kind.plural} live in a namespace: name it in the path`
        : `${kind.plural} do not live in a namespace, but the path names ${JSON.stringify(namespace)}`,
    );
  }
}

/** Namespace of the URL and of the object are one. @throws StatusError BadRequest */
export function settleNamespace(kind: Kind, object: DynamicObject, namespace: string | undefined): void {
  const { metadata } = object;
  if (kind.namespaced && !namespace) {
    throw badRequest(
      `an empty namespace may not be set during creation: ${kind.plural} live in a namespace, name it in the path`,
    );
  }
  if (metadata.namespace !== undefined && metadata.namespace !== '' && metadata.namespace !== (namespace ?? '')) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
  if (namespace) metadata.namespace = namespace;
  else if (metadata.namespace !== undefined) (metadata as { namespace?: string }).namespace = undefined as never;
}

export function prepareMetadataForCreate(object: DynamicObject, now: number, generation: boolean): void {
  const metadata: Partial<DynamicObject['metadata']> = object.metadata;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = formatTime(now);
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.selfLink;
  if (generation) metadata.generation = 1;
  else delete metadata.generation;
}

/** @throws StatusError BadRequest when the body names another object than the URL. */
export function settleKey(kind: Kind, object: DynamicObject, key: ResourceKey): void {
  const { metadata } = object;
  if (metadata.name && metadata.name !== key.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${key.name})`);
  }
  if (metadata.namespace && metadata.namespace !== (key.namespace ?? '')) {
    throw badRequest(
      `the namespace of the object (${metadata.namespace}) does not match the namespace on the URL (${key.namespace ?? ''})`,
    );
  }
  metadata.name = key.name;
  if (key.namespace) metadata.namespace = key.namespace;
  if (!kind.namespaced) delete (metadata as { namespace?: string }).namespace;
}

/** What a write says of the version that it was made from. */
export interface WritePreconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** @throws StatusError Conflict */
export function checkPreconditions(
  kind: Kind,
  name: string,
  current: ReadonlyObject,
  { uid, resourceVersion }: WritePreconditions,
): void {
  if (uid && uid !== current.metadata.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${current.metadata.uid}`,
    );
  }
  if (resourceVersion && resourceVersion !== '0' && resourceVersion !== current.metadata.resourceVersion) {
    throw staleVersion(kind, name);
  }
}

/** What an update may leave out or may not change. */
export function keepMetadata(object: DynamicObject, old: ReadonlyObject): void {
  const metadata: Partial<DynamicObject['metadata']> = object.metadata;
  const before = old.metadata;
  metadata.name ||= before.name;
  metadata.uid ||= before.uid;
  metadata.creationTimestamp ||= before.creationTimestamp;
  if (before.deletionTimestamp === undefined) {
    delete metadata.deletionTimestamp;
    delete metadata.deletionGracePeriodSeconds;
  } else {
    metadata.deletionTimestamp ||= before.deletionTimestamp;
    metadata.deletionGracePeriodSeconds ??= before.deletionGracePeriodSeconds;
  }
  if (before.generation === undefined) delete metadata.generation;
  else metadata.generation = before.generation;
  delete metadata.selfLink;
}

export function requireAbsentVersion(object: DynamicObject): void {
  if (!object.metadata.resourceVersion) return;
  throw new StatusError('', 'resourceVersion should not be set on objects to be created', { code: 500 });
}
