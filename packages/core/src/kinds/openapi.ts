/**
 * The OpenAPI v3 document of one group version, generated from the kinds of a registry: what `kubectl explain` shows, what makes
 * kubectl leave validation to the server (the fieldValidation parameter), and with what it merges on apply.
 *
 * Deterministic: the same kinds give the same text. A patch type is advertised only when the caller says that it is served.
 * Source of the shape: the documents of kube-apiserver, and what kubectl reads of them.
 */
import type { Kind, Subresource } from './kind.js';
import {
  type JsonObject,
  openApiNameOfList,
  openApiNameOfStruct,
  reference,
  SchemaCollector,
} from './openapi-schema.js';
import type { KindRegistry } from './registry.js';
import { Eviction, Scale, TokenRequest } from './virtual.js';

/** What the document says of the server, beside its kinds. */
export interface OpenApiOptions {
  title?: string;
  /** Version of the server. */
  version?: string;
  /** Content types that PATCH takes. Default: JSON patch, merge patch, and strategic merge patch for kinds that know how their lists merge. */
  patchTypes?: (kind: Kind<any>) => readonly string[];
}

const strategic = 'application/strategic-merge-patch+json';
const defaultPatchTypes = (kind: Kind<any>): readonly string[] => [
  'application/json-patch+json',
  'application/merge-patch+json',
  ...(kind.custom || kind.schema.preserveUnknownFields ? [] : [strategic]),
];

/** The document as a plain object, ready for JSON.stringify. */
export function openApiV3(
  registry: KindRegistry,
  groupVersion: { group: string; version: string },
  options: OpenApiOptions = {},
): JsonObject {
  const schemas = new SchemaCollector();
  const paths: JsonObject = {};
  const kinds = registry.within(groupVersion.group, groupVersion.version);
  for (const kind of kinds) {
    schemas.addKind(kind);
    addPaths(paths, kind, schemas, (options.patchTypes ?? defaultPatchTypes)(kind));
  }
  if (kinds.some(kind => kind.verbs.includes('delete'))) {
    schemas.addNamed('meta/v1.DeleteOptions');
    schemas.addNamed('meta/v1.Status');
    if (!schemas.has(patchName))
      schemas.put(patchName, { description: 'The body of a patch, of the content type named.', type: 'object' });
  }
  return {
    openapi: '3.0.0',
    info: { title: options.title ?? 'orbitkit', version: options.version ?? 'unversioned' },
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
    components: {
      schemas: schemas.schemas(),
      securitySchemes: {
        BearerToken: { type: 'apiKey', in: 'header', name: 'authorization', description: 'Bearer token' },
      },
    },
  };
}

const patchName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Patch';
const deleteOptionsName = 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions';
const statusName = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status';

const query = (name: string, type: 'string' | 'boolean' | 'integer', description: string): JsonObject => ({
  name,
  in: 'query',
  description,
  schema: { type, uniqueItems: true },
});
const inPath = (name: string, description: string): JsonObject => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', uniqueItems: true },
});

const writeParameters = [
  query('dryRun', 'string', 'All: do everything but store.'),
  query('fieldManager', 'string', 'Name of who writes.'),
  query('fieldValidation', 'string', 'What to do with unknown and repeated fields: Ignore, Warn or Strict.'),
];
const forceParameter = query('force', 'boolean', 'Take over fields that others own; for apply patches only.');
const listParameters = [
  query('allowWatchBookmarks', 'boolean', 'Send events that carry only a resource version.'),
  query('continue', 'string', 'Go on after the page that answered this token.'),
  query('fieldSelector', 'string', 'Only objects whose fields match.'),
  query('labelSelector', 'string', 'Only objects whose labels match.'),
  query('limit', 'integer', 'At most so many items in one answer.'),
  query('resourceVersion', 'string', 'The version to list at or to watch from.'),
  query('resourceVersionMatch', 'string', 'How resourceVersion is meant: Exact or NotOlderThan.'),
  query('sendInitialEvents', 'boolean', 'Begin a watch with what is there.'),
  query('timeoutSeconds', 'integer', 'End after so many seconds.'),
  query('watch', 'boolean', 'Follow changes.'),
];
const deleteParameters = [
  query('dryRun', 'string', 'All: do everything but delete.'),
  query('gracePeriodSeconds', 'integer', 'Time to end in; 0 deletes at once.'),
  query('propagationPolicy', 'string', 'What becomes of dependents: Orphan, Background or Foreground.'),
];

/** What a path answers and takes. */
interface Body {
  gvk: { group: string; version: string; kind: string };
  schema: string;
}

const json = (schema: string): JsonObject => ({ 'application/json': { schema: reference(schema) } });
const answer = (schema: string): JsonObject => ({ '200': { description: 'OK', content: json(schema) } });
const takes = (content: JsonObject): JsonObject => ({ required: true, content });

function operation(kind: Kind<any>, action: string, body: Body, rest: JsonObject, answers = body.schema): JsonObject {
  return {
    tags: [`${kind.group || 'core'}_${kind.version}`],
    ...rest,
    responses: { ...answer(answers), '401': { description: 'Unauthorized' } },
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group: body.gvk.group, kind: body.gvk.kind, version: body.gvk.version },
  };
}

function addPaths(paths: JsonObject, kind: Kind<any>, schemas: SchemaCollector, patchTypes: readonly string[]): void {
  const base = kind.group ? `/apis/${kind.group}/${kind.version}` : `/api/${kind.version}`;
  const collection = `${base}${kind.namespaced ? '/namespaces/{namespace}' : ''}/${kind.plural}`;
  const body: Body = { gvk: kind, schema: openApiNameOfStruct(kind.schema.name) };
  const list: JsonObject = operation(kind, 'list', body, { parameters: listParameters }, openApiNameOfList(kind));
  const has = (verb: Kind['verbs'][number]): boolean => kind.verbs.includes(verb);
  const namespace = kind.namespaced ? [inPath('namespace', 'Namespace of the object.')] : [];
  const name = inPath('name', `Name of the ${kind.kind}.`);

  paths[collection] = {
    ...(has('list') ? { get: list } : {}),
    ...(has('create')
      ? { post: operation(kind, 'post', body, { parameters: writeParameters, requestBody: takes(json(body.schema)) }) }
      : {}),
    ...(has('deletecollection')
      ? {
          delete: operation(
            kind,
            'deletecollection',
            body,
            { parameters: [...deleteParameters, ...listParameters], requestBody: { content: json(deleteOptionsName) } },
            statusName,
          ),
        }
      : {}),
    parameters: namespace,
  };
  if (kind.namespaced && has('list')) paths[`${base}/${kind.plural}`] = { get: list };

  const item = itemOperations(kind, body, kind.verbs, patchTypes);
  if (Object.keys(item).length > 0) paths[`${collection}/{name}`] = { ...item, parameters: [...namespace, name] };
  for (const subresource of kind.subresources) {
    const operations = subresourceOperations(kind, subresource, body, schemas, patchTypes);
    if (operations)
      paths[`${collection}/{name}/${subresource.name}`] = { ...operations, parameters: [...namespace, name] };
  }
}

function itemOperations(
  kind: Kind<any>,
  body: Body,
  verbs: readonly string[],
  patchTypes: readonly string[],
): JsonObject {
  const patchContent: JsonObject = Object.fromEntries(patchTypes.map(type => [type, { schema: reference(patchName) }]));
  return {
    ...(verbs.includes('get') ? { get: operation(kind, 'get', body, {}) } : {}),
    ...(verbs.includes('update')
      ? { put: operation(kind, 'put', body, { parameters: writeParameters, requestBody: takes(json(body.schema)) }) }
      : {}),
    ...(verbs.includes('patch')
      ? {
          patch: operation(kind, 'patch', body, {
            parameters: [...writeParameters, forceParameter],
            requestBody: takes(patchContent),
          }),
        }
      : {}),
    ...(verbs.includes('delete')
      ? {
          delete: operation(
            kind,
            'delete',
            body,
            { parameters: deleteParameters, requestBody: { content: json(deleteOptionsName) } },
            statusName,
          ),
        }
      : {}),
  };
}

/** Bodies of subresources that are another kind's. Streams (exec, log, proxy) have no schema and no path here. */
function subresourceOperations(
  kind: Kind<any>,
  subresource: Subresource,
  own: Body,
  schemas: SchemaCollector,
  patchTypes: readonly string[],
): JsonObject | undefined {
  const other = [Scale, Eviction, TokenRequest].find(
    each => each.group === subresource.group && each.kind === subresource.kind,
  );
  let body = own;
  if (other) {
    schemas.addKind(other);
    body = { gvk: other, schema: openApiNameOfStruct(other.schema.name) };
  } else if (subresource.kind === 'Binding') {
    body = { gvk: { ...kind, kind: 'Binding' }, schema: schemas.addNamed('core/v1.Binding') };
  } else if (subresource.kind !== kind.kind || subresource.name === 'log') {
    return undefined;
  }
  const operations = itemOperations(kind, body, subresource.verbs, patchTypes);
  if (!subresource.verbs.includes('create')) return operations;
  return {
    ...operations,
    post: operation(kind, 'post', body, { parameters: writeParameters, requestBody: takes(json(body.schema)) }),
  };
}
