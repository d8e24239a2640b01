/**
 * Everything that is not a resource: discovery, OpenAPI, version, health, metrics, the list of paths. Documents that depend on the
 * served kinds alone are made once and kept until the kinds change; each has an ETag and answers 304.
 */
import { createHash } from 'node:crypto';
import type { Metrics } from '@orbitkit/core';
import type { OpenApiDocuments } from '../openapi/documents.js';
import { bytesAnswer, jsonAnswer, methodNotAllowed, pageNotFound } from './answers.js';
import { aggregatedDiscovery, apiGroup, apiGroupList, apiVersions, resourceList } from './discovery.js';
import type { ApiRequest, ApiResponse } from './exchange.js';
import { type HealthEndpoint, healthAnswer } from './health.js';
import { encodingOf, jsonType, notAcceptable, parseAccept } from './media-type.js';
import type { ServedKinds } from './served-kinds.js';
import type { ServerVersion } from './version.js';

export interface NonResourceRoutes {
  answer(request: ApiRequest): Promise<ApiResponse>;
}

export interface NonResourceOptions {
  readonly kinds: () => ServedKinds;
  readonly openApi: OpenApiDocuments;
  readonly version: ServerVersion;
  readonly health: readonly HealthEndpoint[];
  readonly metrics: Metrics;
  /** Further paths, which see to their methods themselves. */
  readonly operations?: Readonly<Record<string, (request: ApiRequest) => Promise<ApiResponse>>> | undefined;
  /** Further documents, by path. */
  readonly documents?: Readonly<Record<string, () => Promise<ApiResponse>>> | undefined;
}

interface Document {
  readonly body: Buffer;
  readonly etag: string;
}

/** Which of the discovery forms the client wants: the first in its own order that is known. */
function discoveryForm(accept: string | undefined): 'v2' | 'v2beta1' | 'legacy' {
  for (const type of parseAccept(accept)) {
    const { as, g, v } = type.params;
    if (
      as === 'APIGroupDiscoveryList' &&
      g === 'apidiscovery.k8s.io' &&
      type.type === jsonType &&
      (v === 'v2' || v === 'v2beta1')
    )
      return v;
    if (as === undefined && encodingOf(type) === 'json') return 'legacy';
  }
  throw notAcceptable([jsonType]);
}

export function nonResourceRoutes(options: NonResourceOptions): NonResourceRoutes {
  const { openApi, version, metrics } = options;
  const health = new Map(options.health.map(endpoint => [endpoint.name, endpoint]));

  /** By path and form, for the kinds they were made from. */
  let documents = new Map<string, Document>();
  let madeFrom: ServedKinds | undefined;
  function document(key: string, make: (kinds: ServedKinds) => object): Document {
    const kinds = options.kinds();
    if (kinds !== madeFrom) {
      documents = new Map();
      madeFrom = kinds;
    }
    let made = documents.get(key);
    if (!made) {
      const body = Buffer.from(JSON.stringify(make(kinds)));
      made = { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase().slice(0, 128)}"` };
      documents.set(key, made);
    }
    return made;
  }

  function documentAnswer(request: ApiRequest, { body, etag }: Document, contentType = jsonType): ApiResponse {
    const headers: Record<string, string> = {
      'content-type': contentType,
      etag,
      vary: 'Accept',
      'cache-control': 'public',
    };
    const known = request.headers['if-none-match'];
    if (known?.split(',').some(tag => tag.trim().replace(/^W\//, '') === etag))
      return { status: 304, headers: { etag, vary: 'Accept' }, body: Buffer.alloc(0) };
    return { status: 200, headers, body };
  }

  function discovery(request: ApiRequest, root: 'api' | 'apis'): ApiResponse {
    const form = discoveryForm(request.headers['accept']);
    if (form === 'legacy') {
      if (root === 'apis') return documentAnswer(request, document('/apis', apiGroupList));
      return jsonAnswer(200, apiVersions(options.kinds(), request.headers['host'] ?? ''));
    }
    const made = document(`/${root} ${form}`, kinds => aggregatedDiscovery(kinds, root, form));
    return documentAnswer(request, made, `${jsonType};g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`);
  }

  /** `/apis/{group}`, `/apis/{group}/{version}` and `/api/{version}`. */
  function groupDocument(request: ApiRequest, group: string, versionName: string | undefined): ApiResponse {
    const kinds = options.kinds();
    if (versionName === undefined) {
      const served = kinds.groups.find(candidate => candidate.group === group);
      return served
        ? documentAnswer(
            request,
            document(`/apis/${group}`, () => apiGroup(served)),
          )
        : pageNotFound();
    }
    const groupVersion = kinds.groupVersion(group, versionName);
    if (!groupVersion) return pageNotFound();
    return documentAnswer(
      request,
      document(groupVersion.name, () => resourceList(groupVersion)),
    );
  }

  function paths(): string[] {
    const served = options
      .kinds()
      .groups.flatMap(({ group, versions }) =>
        group === ''
          ? versions.map(({ version: name }) => `/api/${name}`)
          : [`/apis/${group}`, ...versions.map(({ version: name }) => `/apis/${group}/${name}`)],
      );
    const checks = [...health.values()].flatMap(({ name, checks }) => [
      `/${name}`,
      ...checks.map(check => `/${name}/${check.name}`),
    ]);
    const documents = Object.keys(options.documents ?? {});
    return [
      '/api',
      '/apis',
      ...served,
      ...checks,
      ...documents,
      ...Object.keys(options.operations ?? {}),
      '/metrics',
      '/openapi/v2',
      '/openapi/v3',
      '/version',
    ].sort();
  }

  async function route(request: ApiRequest): Promise<ApiResponse> {
    const path = request.path.length > 1 && request.path.endsWith('/') ? request.path.slice(0, -1) : request.path;
    const [, first = '', ...rest] = path.split('/');
    switch (first) {
      case '':
        return jsonAnswer(200, { paths: paths() });
      case 'api':
      case 'apis':
        if (rest.length === 0) return discovery(request, first);
        if (first === 'api') return rest.length === 1 ? groupDocument(request, '', rest[0]) : pageNotFound();
        if (rest[0] === '') return pageNotFound();
        return rest.length <= 2 ? groupDocument(request, rest[0]!, rest[1]) : pageNotFound();
      case 'version':
        return rest.length === 0 ? jsonAnswer(200, version) : pageNotFound();
      case 'metrics':
        if (rest.length > 0) return pageNotFound();
        return bytesAnswer(200, Buffer.from(await metrics.text()), 'text/plain; version=0.0.4; charset=utf-8');
      case 'openapi':
        return openApi.answer(request, rest.join('/'));
      default: {
        const document = options.documents?.[path];
        if (document) return document();
        const endpoint = health.get(first);
        return endpoint ? healthAnswer(endpoint, rest.join('/'), request.query) : pageNotFound();
      }
    }
  }

  return {
    async answer(request) {
      const operation = options.operations?.[request.path];
      if (operation) return operation(request);
      const answer = await route(request);
      if (request.method !== 'GET' && request.method !== 'HEAD' && answer.status !== 404) throw methodNotAllowed();
      return answer;
    },
  };
}
