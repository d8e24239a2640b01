/**
 * `/openapi/v3`: an index of group versions and one document for each, made on first use and kept until the served kinds change. The index
 * names documents with a hash of their content, so that clients may keep them for good; an outdated hash is led to the new one.
 *
 * OpenAPI v2 is not served: it exists as protobuf only, and kubectl from 1.29 on does not need it.
 */
import { createHash } from 'node:crypto';
import { bytesAnswer, jsonAnswer, pageNotFound } from '../http/answers.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';
import type { GroupVersion, ServedKinds } from '../http/served-kinds.js';

export interface OpenApiDocuments {
  /** @param path what stands behind `/openapi/v3/`: '' for the index, `apis/apps/v1` for a document. */
  answer(request: ApiRequest, path: string): ApiResponse;
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

export function openApiDocuments({ kinds, documentOf }: OpenApiOptions): OpenApiDocuments {
  let documents = new Map<string, Document>();
  let madeFrom: ServedKinds | undefined;

  function document(groupVersion: GroupVersion): Document {
    const path = pathOf(groupVersion);
    let made = documents.get(path);
    if (!made) {
      const body = Buffer.from(JSON.stringify(documentOf(groupVersion)));
      made = { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase().slice(0, 128) };
      documents.set(path, made);
    }
    return made;
  }

  return {
    answer(request, path) {
      const served = kinds();
      if (served !== madeFrom) {
        documents = new Map();
        madeFrom = served;
      }
      const groupVersions = served.groups.flatMap(({ versions }) => versions);
      if (path === '') {
        const paths = groupVersions.map(groupVersion => [
          pathOf(groupVersion),
          { serverRelativeURL: `/openapi/v3/${pathOf(groupVersion)}?hash=${document(groupVersion).hash}` },
        ]);
        return jsonAnswer(200, { paths: Object.fromEntries(paths) });
      }
      const groupVersion = groupVersions.find(candidate => pathOf(candidate) === path);
      if (!groupVersion) return pageNotFound();
      const { body, hash } = document(groupVersion);
      const asked = request.query.get('hash');
      if (asked !== undefined && asked !== hash) {
        return { status: 301, headers: { location: `/openapi/v3/${path}?hash=${hash}` }, body: Buffer.alloc(0) };
      }
      const etag = `"${hash}"`;
      const caching = asked === undefined ? 'no-cache, private' : 'public, immutable, max-age=31536000';
      if (request.headers['if-none-match'] === etag) {
        return { status: 304, headers: { etag, 'cache-control': caching }, body: Buffer.alloc(0) };
      }
      const answer = bytesAnswer(200, body);
      Object.assign(answer.headers, { etag, vary: 'Accept', 'cache-control': caching });
      return answer;
    },
  };
}
