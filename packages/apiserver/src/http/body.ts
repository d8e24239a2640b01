/**
 * Request bodies: bounded in size, read by their content type into plain values. JSON and YAML are read strictly enough to name
 * fields that came twice; a body without a content type is sniffed (kubectl sends such PUTs).
 *
 * Kubernetes' protobuf is read for built-in kinds; it has no unknown or repeated fields to speak of. For others it is refused with 415.
 */
import { badRequest, parseStrictJson, StatusError } from '@orbitkit/core';
import { decodeProtobuf, isProtobuf } from '@orbitkit/core/protobuf';
import type { Body, PatchBody } from '../registry/contract.js';
import type { ApiRequest } from './exchange.js';
import { jsonType, parseMediaType, protobufType, unsupportedMediaType, yamlType } from './media-type.js';
import { requireShallow } from './request-limits.js';
import { yamlBody } from './yaml-form.js';

/** Largest body (apiserver `MaxRequestBodyBytes`, 3 MiB). */
export const maxBodyBytes = 3 * 1024 * 1024;

export function entityTooLarge(limit: number): StatusError {
  return new StatusError('RequestEntityTooLarge', `Request entity too large: limit is ${limit}`);
}

/** What a body is when it does not say so itself. */
interface KindName {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** The content type without parameters; '' when there is none. */
const contentTypeOf = (request: ApiRequest): string => {
  const header = request.headers['content-type'];
  return header === undefined ? '' : parseMediaType(header).type;
};

function parse(bytes: Buffer, request: ApiRequest, expected?: KindName): Body {
  const type = contentTypeOf(request);
  if (type !== protobufType) requireShallow(bytes);
  switch (type) {
    case jsonType:
      return jsonBody(bytes, request);
    case yamlType:
    case 'text/yaml':
    case 'application/x-yaml':
      return yamlBody(bytes);
    case protobufType:
      return protobufBody(bytes, expected);
    case '':
      if (isProtobuf(bytes)) return protobufBody(bytes, expected);
      return looksLikeJson(bytes) ? jsonBody(bytes, request) : yamlBody(bytes);
    default:
      throw unsupportedMediaType([jsonType, yamlType, protobufType]);
  }
}

function looksLikeJson(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d) continue;
    return byte === 0x7b || byte === 0x5b;
  }
  return true;
}

function protobufBody(bytes: Buffer, expected: KindName | undefined): Body {
  if (!expected) return { value: decodeProtobuf(bytes) };
  const { group, version, kind } = expected;
  return { value: decodeProtobuf(bytes, { apiVersion: group === '' ? version : `${group}/${version}`, kind }) };
}

/** Looking for fields that came twice costs a walk over the text, so it is left out for who does not want to know. */
function jsonBody(bytes: Buffer, request: ApiRequest): Body {
  return parseStrictJson(bytes, { duplicates: request.query.get('fieldValidation') !== 'Ignore' });
}

/**
 * @param expected what a protobuf body is whose envelope does not say it
 * @throws StatusError BadRequest, RequestEntityTooLarge, UnsupportedMediaType
 */
export async function readBody(request: ApiRequest, expected?: KindName): Promise<Body> {
  const bytes = await request.readBody(maxBodyBytes);
  if (bytes.length === 0) throw badRequest('the request needs a body, and it is empty');
  return parse(bytes, request, expected);
}

/** The body of a delete, which may be absent. */
export async function readOptionalBody(request: ApiRequest): Promise<Body | undefined> {
  const bytes = await request.readBody(maxBodyBytes);
  return bytes.length === 0 ? undefined : parse(bytes, request, { group: '', version: 'v1', kind: 'DeleteOptions' });
}

const applyPatch = 'application/apply-patch+yaml';
const patchTypes = [
  'application/json-patch+json',
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  applyPatch,
];

/** @throws StatusError UnsupportedMediaType */
export function patchTypeOf(request: ApiRequest): { contentType: string; apply: boolean } {
  const contentType = contentTypeOf(request);
  if (!patchTypes.includes(contentType)) throw unsupportedMediaType(patchTypes);
  return { contentType, apply: contentType === applyPatch };
}

export async function readPatch(request: ApiRequest): Promise<PatchBody> {
  const { contentType, apply } = patchTypeOf(request);
  const bytes = await request.readBody(maxBodyBytes);
  if (bytes.length === 0) throw badRequest('the patch is empty');
  requireShallow(bytes);
  return { ...(apply ? configurationBody(bytes, request) : jsonBody(bytes, request)), contentType };
}

/** YAML by name; kubectl and most clients send JSON, which is read faster as what it is. */
function configurationBody(bytes: Buffer, request: ApiRequest): Body {
  if (!looksLikeJson(bytes)) return yamlBody(bytes);
  try {
    return jsonBody(bytes, request);
  } catch {
    return yamlBody(bytes);
  }
}
