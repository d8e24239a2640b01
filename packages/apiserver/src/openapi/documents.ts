/**
 * `/openapi/v3`: an index of group versions and one document for each, made on first use and kept until the kinds of its group version
 * change. The index names documents with a hash of their content, so that clients may keep them for good; an outdated hash is led to the
 * new one. Between two documents that are made others get their turn.
 *
 * `/openapi/v2`: everything in one document, as gnostic's protobuf for kubectl (up to 1.28 before each validated write; `explain` of
 * OpenAPI v2), and as JSON for who asks for that. kubectl cannot read the JSON, so protobuf never falls back to it.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Kind } from '@orbitkit/core';
import { bytesAnswer, jsonAnswer, pageNotFound } from '../http/answers.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';
import { encodingOf, jsonType, notAcceptable, parseAccept } from '../http/media-type.js';
import type { GroupVersion, ServedKinds } from '../http/served-kinds.js';
import { gnosticDocument } from './gnostic.js';
import { type JsonObject, swaggerOf } from './swagger.js';

export interface OpenApiDocuments {
  /** @param path what stands behind `/openapi/`: `v2`, `v3` for the index, `v3/apis/apps/v1` for a document. */
  answer(request: ApiRequest, path: string): Promise<ApiResponse>;
}

export interface OpenApiOptions {
  readonly kinds: () => ServedKinds;
  /** Makes the document of one group version. */
  readonly documentOf: (groupVersion: GroupVersion) => object;
}

interface Document {
  readonly body: Buffer;
  readonly hash: string;
}

const pathOf = ({ group, version }: GroupVersion) => (group === '' ? `api/${version}` : `apis/${group}/${version}`);

/** kubectl asks with an `@`, which no media type may have, and its client refuses one in the answer (kube-openapi `handler`). */
const gnosticAsked = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
const gnosticType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

export function openApiDocuments({ kinds, documentOf }: OpenApiOptions): OpenApiDocuments {
  const documents = new Map<string, Document & { kinds: readonly Kind[] }>();
  let whole: { of: ServedKinds; forms: Map<string, Promise<Document>> } | undefined;

  const hashed = (body: Buffer): Document => ({
    body,
    hash: createHash('sha512').update(body).digest('hex').toUpperCase().slice(0, 128),
  });

  /** Other group versions' kinds have no part in it. */
  function document(groupVersion: GroupVersion): Document {
    const path = pathOf(groupVersion);
    const made = documents.get(path);
    const kinds = [...groupVersion.resources.values()];
    if (made && made.kinds.length === kinds.length && kinds.every((kind, index) => kind === made.kinds[index]))
      return made;
    const anew = { ...hashed(Buffer.from(JSON.stringify(documentOf(groupVersion)))), kinds };
    documents.set(path, anew);
    return anew;
  }

  const groupVersionsOf = (served: ServedKinds): GroupVersion[] => served.groups.flatMap(({ versions }) => versions);

  function conditional(request: ApiRequest, { body, hash }: Document, type: string, caching: string): ApiResponse {
    const etag = `"${hash}"`;
    const headers = { etag, vary: 'Accept', 'cache-control': caching };
    if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: Buffer.alloc(0) };
    const answer = bytesAnswer(200, body, type);
    Object.assign(answer.headers, headers);
    return answer;
  }

  async function v3(request: ApiRequest, served: ServedKinds, path: string): Promise<ApiResponse> {
    const groupVersions = groupVersionsOf(served);
    if (path === '') {
      const paths: Record<string, { serverRelativeURL: string }> = {};
      for (const groupVersion of groupVersions) {
        const isNew = !documents.has(pathOf(groupVersion));
        const { hash } = document(groupVersion);
        paths[pathOf(groupVersion)] = { serverRelativeURL: `/openapi/v3/${pathOf(groupVersion)}?hash=${hash}` };
        if (isNew) await nextTurn();
      }
      for (const known of documents.keys()) if (!(known in paths)) documents.delete(known);
      return jsonAnswer(200, { paths });
    }
    const groupVersion = groupVersions.find(candidate => pathOf(candidate) === path);
    if (!groupVersion) return pageNotFound();
    const found = document(groupVersion);
    const asked = request.query.get('hash');
    if (asked !== undefined && asked !== found.hash) {
      return { status: 301, headers: { location: `/openapi/v3/${path}?hash=${found.hash}` }, body: Buffer.alloc(0) };
    }
    const caching = asked === undefined ? 'no-cache, private' : 'public, immutable, max-age=31536000';
    return conditional(request, found, jsonType, caching);
  }

  async function makeWhole(served: ServedKinds, protobuf: boolean): Promise<Document> {
    const parts: JsonObject[] = [];
    for (const groupVersion of groupVersionsOf(served)) {
      parts.push(documentOf(groupVersion) as JsonObject);
      await nextTurn();
    }
    const swagger = swaggerOf(parts, { title: 'orbitkit', version: 'v1' });
    await nextTurn();
    return hashed(protobuf ? gnosticDocument(swagger) : Buffer.from(JSON.stringify(swagger)));
  }

  async function v2(request: ApiRequest, served: ServedKinds): Promise<ApiResponse> {
    for (const type of parseAccept(request.headers['accept'])) {
      const protobuf = type.type === gnosticAsked || type.type === gnosticType;
      if (!protobuf && (type.params['as'] !== undefined || encodingOf(type) !== 'json')) continue;
      if (whole?.of !== served) whole = { of: served, forms: new Map() };
      const form = protobuf ? gnosticType : jsonType;
      let made = whole.forms.get(form);
      if (!made) {
        made = makeWhole(served, protobuf);
        const { forms } = whole;
        forms.set(form, made);
        made.catch(() => forms.delete(form));
      }
      return conditional(request, await made, form, 'no-cache, private');
    }
    throw notAcceptable([gnosticAsked, jsonType]);
  }

  return {
    async answer(request, path) {
      if (path === 'v2') return v2(request, kinds());
      if (path === 'v3' || path.startsWith('v3/')) return v3(request, kinds(), path.slice(3));
      return pageNotFound();
    },
  };
}
