/**
 * What a request asks for, read from its method and path alone: the attributes that authorization, audit, metrics and the
 * router share. Rules are those of apiserver's RequestInfoFactory: `/api/v1/namespaces/{ns}/{resource}/{name}/{subresource}`,
 * the legacy `/watch/` prefix, a namespace itself being both an object and a scope.
 *
 * It knows no kinds: whether the resource exists is the router's question.
 */
import { badRequest } from '@orbitkit/core';
import type { Query } from './query.js';

/** The attributes of a request; parts that it has not are undefined, and of other paths than those of resources empty. */
export interface RequestInfo {
  /** `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`; for other paths the method in lower case. */
  readonly verb: string;
  /** Percent-encoded, as it came. */
  readonly path: string;
  /** False for discovery, health and everything outside `/api/{version}/…` and `/apis/{group}/{version}/…`. */
  readonly isResource: boolean;
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  /** Plural name. */
  readonly resource: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
  /** What stands behind the subresource: the path that a proxy request asks for, without its leading slash. */
  readonly rest: string | undefined;
}

const verbOfMethod: Readonly<Record<string, string>> = {
  GET: 'get',
  HEAD: 'get',
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Segments below a namespace's name that are its own subresources and not resources in it. */
const namespaceSubresources = new Set(['status', 'finalize']);

function decode(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    throw badRequest(`the path segment "${segment}" is not valid percent-encoding`);
  }
}

function nonResource(method: string, path: string): RequestInfo {
  return {
    verb: method.toLowerCase(),
    path,
    isResource: false,
    group: '',
    version: '',
    namespace: undefined,
    resource: '',
    name: undefined,
    subresource: undefined,
    rest: undefined,
  };
}

/** @throws StatusError BadRequest when a segment is not valid percent-encoding. */
export function requestInfoOf(method: string, path: string, query: Query): RequestInfo {
  // "/api/v1/pods" splits to ["", "api", "v1", "pods"]; a trailing slash adds an empty last segment.
  const parts = path.split('/');
  if (parts[parts.length - 1] === '') parts.pop();
  let at: number;
  let group = '';
  if (parts[1] === 'api') at = 2;
  else if (parts[1] === 'apis') {
    group = parts[2] ?? '';
    at = 3;
  } else return nonResource(method, path);
  const version = parts[at++];
  if (version === undefined || at >= parts.length) return nonResource(method, path);

  let legacyWatch = false;
  if (parts[at] === 'watch' && parts.length > at + 1) {
    legacyWatch = true;
    at++;
  }
  let namespace: string | undefined;
  if (parts[at] === 'namespaces' && at + 2 < parts.length && !namespaceSubresources.has(parts[at + 2]!)) {
    namespace = decode(parts[at + 1]!);
    at += 2;
  }
  const resource = decode(parts[at++]!);
  let name = at < parts.length ? decode(parts[at++]!) : undefined;
  const subresource = at < parts.length ? decode(parts[at++]!) : undefined;
  const rest =
    at < parts.length ? path.split('/').slice(at).join('/') : subresource && path.endsWith('/') ? '' : undefined;
  if (resource === 'namespaces' && group === '' && name !== undefined) namespace = name;

  let verb = verbOfMethod[method] ?? method.toLowerCase();
  if (verb === 'get' && (legacyWatch || name === undefined)) {
    verb = legacyWatch || query.flag('watch') ? 'watch' : 'list';
  } else if (verb === 'delete' && name === undefined) verb = 'deletecollection';
  // A collection narrowed to one name is authorised as that object.
  if (name === undefined && (verb === 'list' || verb === 'watch' || verb === 'deletecollection')) {
    const selector = query.get('fieldSelector');
    const match = selector && /^metadata\.name==?([^,=!]+)$/.exec(selector);
    if (match) name = match[1];
  }
  return { verb, path, isResource: true, group, version, namespace, resource, name, subresource, rest };
}
