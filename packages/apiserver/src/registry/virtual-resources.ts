/**
 * Kinds that are never stored: an answer is computed for each request, by whoever the server was given for it. A kind that nobody
 * answers for is refused, and nothing ever reaches the store.
 *
 * Here: the body's decoding and its rules, the form of answers. Built in: `bindings` (the older way to write `pods/{name}/binding`)
 * and `componentstatuses`, which speaks only of what this server can know: its store.
 */
import { type DynamicObject, gvkOf, invalid, type Kind, notFound, Pod, StatusError } from '@orbitkit/core';
import type { Store } from '../storage/contract.js';
import type { ListOptions, ObjectBytes, RequestContext, ResourceKey, Resources, WriteOptions } from './contract.js';
import { reportFields } from './field-validation.js';
import { settleNamespace } from './metadata.js';

/** Answers for one kind. What it does not do is refused. Answers are complete objects (or a Status); they are not kept. */
export interface VirtualResource {
  /** The object has been decoded, defaulted and checked by the kind's rules. */
  create?(context: RequestContext, object: DynamicObject, options: WriteOptions): Promise<object> | object;
  /** Undefined: there is no such object. */
  get?(context: RequestContext, key: ResourceKey): Promise<object | undefined> | object | undefined;
  list?(context: RequestContext, options: ListOptions): Promise<readonly object[]> | readonly object[];
}

/** By identity: `authorization.k8s.io/v1/SubjectAccessReview`. */
export type VirtualResources = Readonly<Record<string, VirtualResource>>;

function unanswered(kind: Kind, verb: string): StatusError {
  return new StatusError(
    'MethodNotAllowed',
    `${verb} is not supported on resources of kind "${kind.plural}": they are computed, and nothing in this server does so`,
  );
}

function bytesOf(object: object): ObjectBytes {
  return { bytes: Buffer.from(JSON.stringify(object)), revision: 0n, object: () => object as DynamicObject };
}

/** Resources of virtual kinds only. */
export function virtualResources(answering: VirtualResources): Resources {
  const of = (kind: Kind): VirtualResource => answering[gvkOf(kind)] ?? {};
  const refuse =
    (verb: string) =>
    async (_context: RequestContext, kind: Kind): Promise<never> => {
      throw unanswered(kind, verb);
    };
  return {
    async create(context, kind, key, body, options = {}) {
      const { create } = of(kind);
      if (!create) throw unanswered(kind, 'create');
      const { object: decoded, unknownFields } = kind.decode(body.value);
      reportFields(context, kind, unknownFields, body.duplicateFields ?? [], options);
      const object = decoded as DynamicObject;
      settleNamespace(kind, object, key.namespace);
      kind.applyDefaults(object);
      // A question needs no name.
      const errors = kind.validate(object).filter(({ field }) => field !== 'metadata.name');
      if (errors.length > 0) throw invalid(kind, object.metadata.name ?? '', errors);
      return { object: bytesOf(await create(context, object, options)), created: true };
    },
    async get(context, kind, key) {
      const { get } = of(kind);
      if (!get) throw unanswered(kind, 'get');
      const object = await get(context, key);
      if (object === undefined) throw notFound(kind, key.name);
      return bytesOf(object);
    },
    async list(context, kind, options = {}) {
      const { list } = of(kind);
      if (!list) throw unanswered(kind, 'list');
      return { items: (await list(context, options)).map(bytesOf), resourceVersion: '' };
    },
    watch: refuse('watch'),
    update: refuse('update'),
    patch: refuse('patch'),
    delete: refuse('delete'),
    deleteCollection: refuse('deletecollection'),
    getSubresource: refuse('get'),
    updateSubresource: refuse('update'),
    patchSubresource: refuse('patch'),
    createSubresource: refuse('create'),
  };
}

/** What every server answers by itself. */
export function builtinVirtualResources(store: Store, resources: () => Resources): VirtualResources {
  async function storeStatus(signal: AbortSignal) {
    const condition = await store.get('/healthz', { signal }).then(
      () => ({ type: 'Healthy', status: 'True', message: 'ok' }),
      (error: unknown) => ({ type: 'Healthy', status: 'False', message: 'error', error: String(error) }),
    );
    return { kind: 'ComponentStatus', apiVersion: 'v1', metadata: { name: 'store' }, conditions: [condition] };
  }
  return {
    '/v1/ComponentStatus': {
      get: ({ signal }, { name }) => (name === 'store' ? storeStatus(signal) : undefined),
      list: async ({ signal }) => [await storeStatus(signal)],
    },
    '/v1/Binding': {
      async create(context, binding, options) {
        const { name, namespace } = binding.metadata;
        const { bytes } = await resources().createSubresource(
          context,
          Pod as Kind<any>,
          { name, namespace },
          'binding',
          { value: binding },
          options,
        );
        return JSON.parse(bytes.toString()) as object;
      },
    },
  };
}
