/**
 * Content negotiation: which form of an answer the client wants, and what its body is.
 *
 * The order of preference is that of the Accept header (stable, by `q`), never ours: kubectl 1.29 asks for v2beta1 discovery and
 * would read an empty API out of v2. Clients that ask for protobuf always name JSON behind it and get that.
 * Source: apiserver `endpoints/handlers/negotiation`; kube-apiserver answers observed on the wire.
 */
import { StatusError } from '@orbitkit/core';

export interface MediaType {
  /** `application/json`, lower-case. */
  readonly type: string;
  readonly params: Readonly<Record<string, string>>;
}

/** What an answer looks like. `version` is that of meta.k8s.io for the transformed forms. */
export type AnswerForm =
  | { readonly as: 'object'; readonly encoding: 'json' | 'yaml' }
  | {
      readonly as: 'Table' | 'PartialObjectMetadata';
      readonly version: 'v1' | 'v1beta1';
      readonly encoding: 'json' | 'yaml';
    };

export const jsonType = 'application/json';
export const yamlType = 'application/yaml';
export const protobufType = 'application/vnd.kubernetes.protobuf';

export function parseMediaType(text: string): MediaType {
  const parts = text.split(';');
  const params: Record<string, string> = {};
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i]!;
    const equals = part.indexOf('=');
    if (equals < 0) continue;
    const value = part.slice(equals + 1).trim();
    params[part.slice(0, equals).trim().toLowerCase()] = value.startsWith('"') ? value.slice(1, -1) : value;
  }
  return { type: parts[0]!.trim().toLowerCase(), params };
}

/** The media types of an Accept header, most wanted first; those with `q=0` are left out. */
export function parseAccept(accept: string | undefined): MediaType[] {
  if (accept === undefined || accept.trim() === '') return [{ type: '*/*', params: {} }];
  const types = accept.split(',').map(parseMediaType);
  const quality = (type: MediaType) => (type.params.q === undefined ? 1 : Number(type.params.q) || 0);
  return types.filter(type => quality(type) > 0).sort((a, b) => quality(b) - quality(a));
}

/** `json` or `yaml` when the server can produce the type, whatever its parameters say. */
export function encodingOf(type: MediaType): 'json' | 'yaml' | undefined {
  switch (type.type) {
    case jsonType:
    case 'application/*':
    case '*/*':
      return 'json';
    case yamlType:
      return 'yaml';
    default:
      return undefined;
  }
}

function formOf(type: MediaType): AnswerForm | undefined {
  const encoding = encodingOf(type);
  if (!encoding) return undefined;
  const { as, g, v } = type.params;
  if (as === undefined) return { as: 'object', encoding };
  if (g !== 'meta.k8s.io' || (v !== 'v1' && v !== 'v1beta1')) return undefined;
  if (as === 'Table') return { as: 'Table', version: v, encoding };
  if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
    return { as: 'PartialObjectMetadata', version: v, encoding };
  return undefined;
}

const acceptable = [jsonType, yamlType];

export function notAcceptable(types: readonly string[] = acceptable): StatusError {
  return new StatusError('NotAcceptable', `only the following media types are accepted: ${types.join(', ')}`);
}

export function unsupportedMediaType(types: readonly string[]): StatusError {
  return new StatusError(
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: ${types.join(', ')}`,
  );
}

/** A client sends the same header with every request; a handful of them exist. */
const known = new Map<string, AnswerForm | null>();
const knownBound = 512;

/**
 * The form of an answer that carries an object, a list or a watch.
 * @throws StatusError NotAcceptable when nothing that the client names can be produced.
 */
export function answerForm(accept: string | undefined): AnswerForm {
  const key = accept ?? '';
  let form = known.get(key);
  if (form === undefined) {
    form = null;
    for (const type of parseAccept(accept)) {
      const candidate = formOf(type);
      if (candidate) {
        form = candidate;
        break;
      }
    }
    if (known.size >= knownBound) known.clear();
    known.set(key, form);
  }
  if (form === null) throw notAcceptable();
  return form;
}
