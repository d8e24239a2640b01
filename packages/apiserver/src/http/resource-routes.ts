/**
 * The verbs on collections, objects and stored subresources: reads the options and the body, asks the resources, and gives the
 * result the form that the client wants. Streams (log, exec, proxy) are `../node-proxy`'s.
 */
import { type Clock, type Kind, Scale } from '@orbitkit/core';
import type {
  DeleteOptions,
  ListResult,
  ObjectBytes,
  RequestContext,
  ResourceKey,
  Resources,
} from '../registry/contract.js';
import { bytesAnswer, jsonAnswer, methodNotAllowed, resourceNotFound } from './answers.js';
import { patchTypeOf, readBody, readOptionalBody, readPatch } from './body.js';
import type { ApiRequest, ApiResponse } from './exchange.js';
import { turnsForLargeWork } from './large-work.js';
import { joinedList, listHead } from './list-bytes.js';
import { type AnswerForm, answerForm, jsonType, yamlType } from './media-type.js';
import { deleteOptions, listOptions, watchOptions, writeOptions } from './options.js';
import { partialMetadata } from './partial-metadata.js';
import type { RequestInfo } from './request-info.js';
import { includeObjectOf, type TableShape, tableOfList, tableOfObject } from './table.js';
import { watchStream } from './watch-stream.js';
import { yamlOf } from './yaml-form.js';

export interface ResourceRoutes {
  /** Answers a request for a kind that is served. */
  answer(call: ResourceCall): Promise<ApiResponse>;
}

export interface ResourceCall {
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly kind: Kind;
  readonly context: RequestContext;
  /** Told of every batch of a watch: how many events went out. */
  readonly watched: (events: number) => void;
}

export interface ResourceRoutesOptions {
  readonly resources: Resources;
  readonly clock: Clock;
}

/** A list up to this size is one buffer; beyond it goes out in pieces. */
const wholeListBytes = 256 * 1024;
/** A list up to this length is made at once; others when it is their turn. */
const smallListItems = 20;
/** The same for tables; kubectl asks for 500 at a time. */
const wholeTableRows = 500;

export function resourceRoutes({ resources, clock }: ResourceRoutesOptions): ResourceRoutes {
  function objectAnswer(call: ResourceCall, form: AnswerForm, item: ObjectBytes, status = 200): ApiResponse {
    if (form.as === 'object') return encoded(status, item.bytes, form);
    if (form.as === 'PartialObjectMetadata') return encoded(status, partialMetadata(item, form.version), form);
    return encoded(status, tableOfObject(shapeOf(call, form.version), item, clock.now()), form);
  }

  function listAnswer(call: ResourceCall, form: AnswerForm, result: ListResult): ApiResponse {
    if (form.as === 'Table') {
      const pieces = tableOfList(shapeOf(call, form.version), result, clock.now());
      if (form.encoding === 'yaml' || result.items.length <= wholeTableRows)
        return encoded(200, Buffer.concat([...pieces]), form);
      return { status: 200, headers: { 'content-type': jsonType }, body: inTurns(pieces) };
    }
    const joined =
      form.as === 'object'
        ? joinedList(listHead(call.kind), result)
        : joinedList({ kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${form.version}` }, result, item =>
            partialMetadata(item, form.version),
          );
    if (form.encoding === 'yaml' || joined.length <= wholeListBytes)
      return encoded(200, Buffer.concat([...joined.pieces]), form);
    return {
      status: 200,
      headers: { 'content-type': jsonType, 'content-length': String(joined.length) },
      body: inTurns(joined.pieces),
    };
  }

  const shapeOf = (call: ResourceCall, version: 'v1' | 'v1beta1'): TableShape => ({
    kind: call.info.subresource === 'scale' ? Scale : call.kind,
    version,
    include: includeObjectOf(call.request.query),
  });

  async function watch(call: ResourceCall): Promise<ApiResponse> {
    const { request, info, kind, context } = call;
    const form = answerForm(request.headers['accept']);
    const include = includeObjectOf(request.query);
    const options = watchOptions(request.query, namespaceOf(kind, info), info.name);
    const batches = await resources.watch(context, kind, options);
    const body = watchStream(batches, { kind, form, include, now: () => clock.now(), delivered: call.watched });
    return { status: 200, headers: { 'content-type': jsonType }, body, stream: true };
  }

  async function collection(call: ResourceCall): Promise<ApiResponse> {
    const { request, info, kind, context } = call;
    const namespace = namespaceOf(kind, info);
    switch (info.verb) {
      case 'watch':
        return watch(call);
      case 'list': {
        const form = answerForm(request.headers['accept']);
        if (form.as === 'Table') includeObjectOf(request.query);
        const result = await resources.list(context, kind, listOptions(request.query, namespace));
        if (result.items.length > smallListItems) await turnsForLargeWork()();
        return listAnswer(call, form, result);
      }
      case 'create': {
        const form = answerForm(request.headers['accept']);
        const options = writeOptions('CreateOptions', request);
        const written = await resources.create(context, kind, { namespace }, await readBody(request, kind), options);
        return objectAnswer(call, form, written.object, 201);
      }
      case 'deletecollection': {
        const form = answerForm(request.headers['accept']);
        const options: DeleteOptions = deleteOptions(request.query, (await readOptionalBody(request))?.value);
        const selection = listOptions(request.query, namespace);
        return listAnswer(call, form, await resources.deleteCollection(context, kind, options, selection));
      }
      default:
        throw methodNotAllowed();
    }
  }

  async function object(call: ResourceCall, key: ResourceKey): Promise<ApiResponse> {
    const { request, info, kind, context } = call;
    const form = answerForm(request.headers['accept']);
    switch (info.verb) {
      case 'get': {
        const resourceVersion = request.query.get('resourceVersion');
        return objectAnswer(call, form, await resources.get(context, kind, key, { resourceVersion }));
      }
      case 'update': {
        const options = writeOptions('UpdateOptions', request);
        const written = await resources.update(context, kind, key, await readBody(request, kind), options);
        return objectAnswer(call, form, written.object, written.created ? 201 : 200);
      }
      case 'patch': {
        const options = writeOptions('PatchOptions', request, patchTypeOf(request).apply);
        const written = await resources.patch(context, kind, key, await readPatch(request), options);
        return objectAnswer(call, form, written.object, written.created ? 201 : 200);
      }
      case 'delete': {
        const options = deleteOptions(request.query, (await readOptionalBody(request))?.value);
        const deleted = await resources.delete(context, kind, key, options);
        return deleted.type === 'status' ? jsonAnswer(200, deleted.status) : objectAnswer(call, form, deleted.object);
      }
      default:
        throw methodNotAllowed();
    }
  }

  async function subresource(call: ResourceCall, key: ResourceKey, name: string): Promise<ApiResponse> {
    const { request, info, kind, context } = call;
    const form = answerForm(request.headers['accept']);
    switch (info.verb) {
      case 'get': {
        const resourceVersion = request.query.get('resourceVersion');
        return objectAnswer(call, form, await resources.getSubresource(context, kind, key, name, { resourceVersion }));
      }
      case 'update': {
        const options = writeOptions('UpdateOptions', request);
        const written = await resources.updateSubresource(context, kind, key, name, await readBody(request), options);
        return objectAnswer(call, form, written.object, written.created ? 201 : 200);
      }
      case 'patch': {
        const options = writeOptions('PatchOptions', request, patchTypeOf(request).apply);
        const written = await resources.patchSubresource(context, kind, key, name, await readPatch(request), options);
        return objectAnswer(call, form, written.object, written.created ? 201 : 200);
      }
      case 'create': {
        const options = writeOptions('CreateOptions', request);
        const answer = await resources.createSubresource(context, kind, key, name, await readBody(request), options);
        return encoded(answer.code, answer.bytes, form);
      }
      default:
        throw methodNotAllowed();
    }
  }

  return {
    async answer(call) {
      const { info, kind, context } = call;
      if (kind.custom?.deprecation) context.warn(kind.custom.deprecation);
      // The legacy watch path of one object is a watch of its collection.
      if (info.verb === 'watch') {
        requireVerb(kind.verbs, 'watch');
        return watch(call);
      }
      if (onCollection(info)) {
        requireVerb(kind.verbs, info.verb);
        // Across all namespaces one can only read (apiserver `installer.go`).
        if (kind.namespaced && info.namespace === undefined && info.verb !== 'list') throw methodNotAllowed();
        return collection(call);
      }
      const key: ResourceKey = { name: info.name!, namespace: namespaceOf(kind, info) };
      if (info.subresource === undefined) {
        requireVerb(kind.verbs, info.verb);
        return object(call, key);
      }
      const described = kind.subresources.find(({ name }) => name === info.subresource);
      if (!described || info.rest !== undefined) throw resourceNotFound();
      requireVerb(described.verbs, info.verb);
      return subresource(call, key, info.subresource);
    },
  };
}

const onCollection = (info: RequestInfo) =>
  info.verb === 'list' || info.verb === 'deletecollection' || info.name === undefined;

/** A namespace as an object has no namespace to be in. */
const namespaceOf = (kind: Kind, info: RequestInfo) => (kind.namespaced ? info.namespace : undefined);

function requireVerb(verbs: readonly string[], verb: string): void {
  if (!verbs.includes(verb)) throw methodNotAllowed();
}

function encoded(status: number, json: Buffer, form: AnswerForm): ApiResponse {
  return form.encoding === 'json' ? bytesAnswer(status, json) : bytesAnswer(status, yamlOf(json), yamlType);
}

/** Pieces of a long list, with room for other work between them. */
async function* inTurns(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  const turn = turnsForLargeWork();
  for (const piece of pieces) {
    yield piece;
    await turn();
  }
}
