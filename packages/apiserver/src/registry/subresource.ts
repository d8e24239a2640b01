/**
 * Subresources that live in the object (`status`, `finalize`, …), are computed from it (`scale`), or act on it (`binding`, `eviction`).
 */
import { type DynamicObject, type Kind, notFound, StatusError } from '@orbitkit/core';
import type {
  Body,
  GetOptions,
  PatchBody,
  RequestContext,
  ResourceKey,
  SubresourceAnswer,
  WriteOptions,
} from './contract.js';
import { evictPod } from './eviction.js';
import { reportFields } from './field-validation.js';
import { checkPreconditions, settleNamespace } from './metadata.js';
import type { StoredObject } from './object-bytes.js';
import { patchObject } from './patch.js';
import { readObject } from './read.js';
import { scaleBytes, writeScale } from './scale.js';
import type { Strategy, SubresourceAction } from './strategy.js';
import { partOf, type UpdateRequest, updateObject } from './update.js';
import { type Decision, dryRunAnswer, type StoredWrite, serialized, writeObject } from './write.js';
import { admissionRequest, settled, targetOf, undoneWhenRefused, type Writing } from './writing.js';

function unknownSubresource(): StatusError {
  return new StatusError('NotFound', 'the server could not find the requested resource');
}

function requirePart(kind: Kind, strategy: Strategy, subresource: string): void {
  if (partOf(strategy, subresource) === undefined || !kind.subresources.some(each => each.name === subresource)) {
    throw unknownSubresource();
  }
}

export async function readSubresource(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  subresource: string,
  options: GetOptions,
): Promise<StoredObject> {
  const strategy = writing.strategies(kind);
  if (subresource !== 'scale') requirePart(kind, strategy, subresource);
  if (subresource === 'scale' && strategy.scale === undefined) throw unknownSubresource();
  const object = await readObject(writing.cache, kind, key, options, context.signal);
  return subresource === 'scale' ? scaleBytes(writing.cache, strategy.scale!, object) : object;
}

export function updateSubresource(writing: Writing, request: UpdateRequest, body: Body): Promise<StoredWrite> {
  const strategy = writing.strategies(request.kind);
  if (request.subresource === 'scale' && strategy.scale) return writeScale(writing, request, strategy.scale, { body });
  requirePart(request.kind, strategy, request.subresource!);
  return updateObject(writing, request, body);
}

export function patchSubresource(writing: Writing, request: UpdateRequest, patch: PatchBody): Promise<StoredWrite> {
  const strategy = writing.strategies(request.kind);
  if (request.subresource === 'scale' && strategy.scale) return writeScale(writing, request, strategy.scale, { patch });
  requirePart(request.kind, strategy, request.subresource!);
  return patchObject(writing, request, patch);
}

export async function createSubresource(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  subresource: string,
  body: Body,
  options: WriteOptions,
): Promise<SubresourceAnswer> {
  const action = writing.strategies(kind).actions?.[subresource];
  if (action !== undefined) return act(writing, context, kind, key, subresource, action, body, options);
  if (subresource === 'eviction') {
    await evictPod(writing, context, kind, key, body, options);
    return created();
  }
  throw unknownSubresource();
}

async function act(
  writing: Writing,
  context: RequestContext,
  kind: Kind,
  key: ResourceKey,
  subresource: string,
  action: SubresourceAction,
  body: Body,
  options: WriteOptions,
): Promise<SubresourceAnswer> {
  const { object: decoded, unknownFields } = action.body.decode(body.value);
  reportFields(context, action.body, unknownFields, body.duplicateFields ?? [], options);
  const given = decoded as DynamicObject;
  if (given.metadata.name && given.metadata.name !== key.name) {
    throw new StatusError(
      'BadRequest',
      `name in URL does not match name in ${action.body.kind} object: ${key.name} and ${given.metadata.name}`,
    );
  }
  settleNamespace(kind, given, key.namespace);
  const { uid, resourceVersion } = given.metadata;
  const request = admissionRequest(context, 'CREATE', kind, key, {
    object: given,
    subresource,
    dryRun: options.dryRun,
  });
  await undoneWhenRefused(request, async () => {
    await writing.admission.admit(request);
    await writing.admission.validate(request);
  });
  if ('answer' in action) {
    const object = await readObject(writing.cache, kind, key, {}, context.signal);
    checkPreconditions(kind, key.name, object.object(), { uid, resourceVersion });
    return { bytes: Buffer.from(JSON.stringify(await action.answer(object.object(), given, context))), code: 201 };
  }
  const write = (current: StoredObject | undefined): Decision => {
    if (current === undefined) throw notFound(kind, key.name);
    checkPreconditions(kind, key.name, current.object(), { uid, resourceVersion });
    const object = current.copy();
    action.change(object, given, writing.environment);
    const value = serialized(kind, object);
    if (options.dryRun) return { type: 'answer', object: dryRunAnswer(writing.cache, value, current.revision) };
    return { type: 'put', object, value };
  };
  await undoneWhenRefused(request, () => writeObject(writing.cache, context, targetOf(kind, key), write));
  await settled(request, 'done');
  return created();
}

function created(): SubresourceAnswer {
  return {
    bytes: Buffer.from('{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success","code":201}'),
    code: 201,
  };
}
