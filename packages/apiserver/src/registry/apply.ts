/**
 * Server-side apply: PATCH `application/apply-patch+yaml` (kube-wire.md 11). The configuration is merged into the live object, or
 * becomes a new one; who owns what decides about conflicts and about what goes. The rest of the way is that of every update or create.
 *
 * What is wrong with a configuration is 400; other servers answer some of it with 500. `metadata.resourceVersion` and `uid` in it are
 * preconditions.
 */
import {
  apiVersionOf,
  applyConfiguration,
  applyConflict,
  badRequest,
  clientSideApplyManager,
  conflict,
  type DynamicObject,
  type FieldManagers,
  fieldsAppliedByClient,
  type JsonObject,
  type Kind,
  keepLastApplied,
  StatusError,
  staleVersion,
  typeProblems,
  type Writer,
} from '@orbitkit/core';
import type { PatchBody, ResourceKey, WriteOptions } from './contract.js';
import { managersOf, ownedBy, setManagers, versioned, writerOf } from './field-tracking.js';
import { copyJson } from './json-value.js';
import { checkPreconditions } from './metadata.js';
import type { ReadonlyObject } from './object-bytes.js';
import type { Writing } from './writing.js';

export const applyPatchType = 'application/apply-patch+yaml';
/** Owns what an object without managers has when it is first applied to. */
const beforeFirstApply = 'before-first-apply';

export interface Configuration {
  readonly value: JsonObject;
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

type Named = Pick<Kind, 'group' | 'version' | 'kind'>;

/** `apps/v1, Kind=Deployment`, of the core group `/v1, Kind=Pod`. */
function typeText(apiVersion: unknown, kind: unknown): string {
  const version = typeof apiVersion === 'string' ? apiVersion : '';
  return `${version.includes('/') ? version : `/${version}`}, Kind=${typeof kind === 'string' ? kind : ''}`;
}
/** `default/web; apps/v1, Kind=Deployment` */
const objectText = (kind: Named, key: ResourceKey): string =>
  `${key.namespace ?? ''}/${key.name}; ${kind.group}/${kind.version}, Kind=${kind.kind}`;

/**
 * The body of an apply. Its preconditions are taken out of it.
 * @throws StatusError BadRequest
 */
export function readConfiguration(kind: Named, patch: PatchBody): Configuration {
  const value = copyJson(patch.value) as JsonObject;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badRequest('error decoding YAML: the configuration to apply must be a mapping');
  if (value['apiVersion'] !== apiVersionOf(kind) || value['kind'] !== kind.kind)
    throw badRequest(`invalid object type: ${typeText(value['apiVersion'], value['kind'])}`);
  value['metadata'] ??= {};
  const metadata = value['metadata'] as Record<string, unknown>;
  if (typeof metadata !== 'object' || Array.isArray(metadata)) throw badRequest('metadata must be a mapping');
  if (metadata['managedFields'] !== undefined && metadata['managedFields'] !== null)
    throw badRequest('metadata.managedFields must be nil');
  const text = (name: string): string | undefined => {
    const given = metadata[name];
    delete metadata[name];
    if (given === undefined || given === null || given === '') return undefined;
    if (typeof given !== 'string') throw badRequest(`metadata.${name} must be a string`);
    return given;
  };
  const [uid, resourceVersion] = [text('uid'), text('resourceVersion')];
  return { value, uid, resourceVersion: resourceVersion === '0' ? undefined : resourceVersion };
}

/** @throws StatusError BadRequest that names every field that is not as the type wants it. */
export function checkConfiguration(kind: Pick<Kind, 'schema'> & Named, key: ResourceKey, value: JsonObject): void {
  const problems = typeProblems(kind.schema, value).map(({ path, message }) => `${path}: ${message}`);
  if (problems.length === 0) return;
  const text = problems.length === 1 ? problems[0]! : ['errors:', ...problems.map(each => `  ${each}`)].join('\n');
  throw new StatusError('BadRequest', `failed to create typed patch object (${objectText(kind, key)}): ${text}`, {
    details: {
      causes: typeProblems(kind.schema, value).map(({ path, message }) => ({
        reason: 'FieldValueInvalid',
        message,
        field: path.replace(/^\./, ''),
      })),
    },
  });
}

/** A configuration for an object that is not there. @throws StatusError Conflict */
function requireNoPreconditions(kind: Kind, name: string, { uid, resourceVersion }: Configuration): void {
  if (uid)
    throw conflict(
      kind,
      name,
      `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`,
    );
  if (resourceVersion) throw staleVersion(kind, name);
}

export interface Applied {
  /** Of the caller's own, not decoded yet, without its managers. */
  readonly object: DynamicObject;
  readonly managers: FieldManagers;
}

/**
 * The live object with a configuration applied, or (without one) the new object.
 * @throws StatusError Conflict
 */
export function applied(
  writing: Writing,
  kind: Kind,
  name: string,
  live: ReadonlyObject | undefined,
  configuration: Configuration,
  options: WriteOptions,
  subresource?: string,
): Applied {
  if (!writing.managedFields) {
    throw new StatusError(
      'UnsupportedMediaType',
      `server-side apply needs managedFields, which this server was told not to keep (resources: { managedFields: false })`,
    );
  }
  const writer: Writer = writerOf(writing, kind, options, subresource);
  const { value } = configuration;
  if (live === undefined) requireNoPreconditions(kind, name, configuration);
  else checkPreconditions(kind, name, live, configuration);
  const before = live === undefined ? {} : (live as unknown as JsonObject);
  let managers = live === undefined ? [] : managersOf(live);
  if (live !== undefined && managers.length === 0) {
    managers = ownedBy(kind, live, { manager: beforeFirstApply, time: writer.time, ignored: writer.ignored });
  }
  const version = { ...versioned(kind, before as never), value: before };
  const byKubectl = writer.manager === clientSideApplyManager;
  const outcome = applyConfiguration(version, value, managers, writer, {
    force: options.force,
    allowed: byKubectl ? () => fieldsAppliedByClient(version) : undefined,
    convert: writing.convertVersion,
  });
  if (outcome.conflicts) throw applyConflict(outcome.conflicts);
  // The merge shares parts with the live object, which everybody reads; what comes next changes its own.
  const object = copyJson(outcome.value ?? before) as unknown as DynamicObject;
  if (byKubectl) keepLastApplied(object as unknown as JsonObject, value);
  setManagers(object, []);
  return { object, managers: outcome.managers };
}
