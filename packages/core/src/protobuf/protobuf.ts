/**
 * Kubernetes' protobuf bodies: four bytes of magic, an envelope that names version and kind, and in it the message of that type. Reading
 * gives the very object that the same body in JSON gives (before `Kind.decode`); writing gives the bytes that Kubernetes writes.
 *
 * Only built-in types have such a form. kubectl from 1.32 on and Helm 4 send it for typed objects and do not fall back to JSON.
 * Source: apimachinery `runtime/serializer/protobuf` and `runtime.Unknown`.
 */
import { badRequest, StatusError } from '../errors/status-error.js';
import { hasFactsOf } from '../kinds/facts.js';
import { decodeMessage } from './decode-message.js';
import { encodeMessage } from './encode-message.js';
import { messageOf } from './message.js';
import { WireReader, WireType } from './wire-reader.js';
import { WireWriter } from './wire-writer.js';

/** Which type a body is of: `apps/v1`, `Deployment`. */
export interface TypeName {
  readonly apiVersion: string;
  readonly kind: string;
}

const magic = Buffer.from('k8s\0', 'latin1');

/** The bytes begin as a protobuf body does. */
export function isProtobuf(bytes: Uint8Array): boolean {
  return bytes.length >= magic.length && magic.equals(bytes.subarray(0, magic.length));
}

/** Options are spoken in every group's version (`v1`, `apps/v1`), and have one type. */
const optionKinds = new Set([
  'CreateOptions',
  'DeleteOptions',
  'GetOptions',
  'ListOptions',
  'PatchOptions',
  'UpdateOptions',
]);

/** `v1`, `Pod` -> `core/v1.Pod`; undefined when there is no protobuf form of it. */
function typeOf({ apiVersion, kind }: TypeName): string | undefined {
  const name = `${apiVersion.includes('/') ? apiVersion : `core/${apiVersion}`}.${kind}`;
  if (hasFactsOf(name)) return name;
  const shared = `meta/v1.${kind}`;
  return (optionKinds.has(kind) || (kind === 'Status' && apiVersion === 'v1')) && hasFactsOf(shared)
    ? shared
    : undefined;
}

interface Envelope {
  apiVersion: string;
  kind: string;
  /** The message. */
  raw: Buffer;
}

/** `runtime.Unknown`: typeMeta (1: apiVersion 1, kind 2), raw (2), contentEncoding (3), contentType (4). */
function readEnvelope(bytes: Uint8Array): Envelope {
  if (!isProtobuf(bytes)) throw badRequest('the body does not begin with "k8s\\0", as a protobuf body does');
  const reader = new WireReader(bytes);
  reader.at = magic.length;
  const envelope: Envelope = { apiVersion: '', kind: '', raw: Buffer.alloc(0) };
  const fields = (read: (number: number) => boolean): void => {
    while (reader.at < reader.end) {
      const from = reader.at;
      const tag = reader.uint32();
      if ((tag & 7) !== WireType.bytes) {
        if (tag >>> 3 <= 4) throw reader.fault(`field ${tag >>> 3} of the envelope has the wire type ${tag & 7}`, from);
        reader.skip(tag & 7);
      } else if (!read(tag >>> 3)) reader.skip(tag & 7);
    }
  };
  fields(number => {
    if (number === 1) {
      reader.message(() =>
        fields(inner => {
          if (inner === 1) envelope.apiVersion = reader.string();
          else if (inner === 2) envelope.kind = reader.string();
          return inner === 1 || inner === 2;
        }),
      );
    } else if (number === 2) envelope.raw = reader.bytes();
    else if (number === 3) {
      const encoding = reader.string();
      if (encoding !== '')
        throw badRequest(`the protobuf body is encoded as ${JSON.stringify(encoding)}; send it plain`);
    } else if (number === 4) {
      const type = reader.string();
      if (type !== '')
        throw badRequest(`the envelope of the protobuf body holds ${JSON.stringify(type)} instead of a message`);
    } else return false;
    return true;
  });
  return envelope;
}

/**
 * The object in a protobuf body, apiVersion and kind first.
 * @param expected stands in for what the envelope does not name.
 * @throws StatusError BadRequest for bytes that are not what they should be, UnsupportedMediaType for a kind without protobuf form
 */
export function decodeProtobuf(bytes: Uint8Array, expected?: TypeName): Record<string, unknown> {
  const envelope = readEnvelope(bytes);
  const apiVersion = envelope.apiVersion || expected?.apiVersion || '';
  const kind = envelope.kind || expected?.kind || '';
  if (apiVersion === '' || kind === '')
    throw badRequest('the envelope of the protobuf body names no apiVersion and kind');
  const type = typeOf({ apiVersion, kind });
  if (type === undefined)
    throw new StatusError(
      'UnsupportedMediaType',
      `the body of the request was in an unknown format - there is no protobuf form of ${kind} in ${apiVersion}; send it as application/json`,
    );
  return { apiVersion, kind, ...decodeMessage(new WireReader(envelope.raw), messageOf(type)) };
}

/**
 * The body of an object, as Kubernetes writes it. The object has the form of its kind.
 * @throws StatusError UnsupportedMediaType for a kind without protobuf form
 */
export function encodeProtobuf(object: TypeName & object): Buffer {
  const { apiVersion, kind } = object;
  const type = typeOf(object);
  if (type === undefined)
    throw new StatusError('UnsupportedMediaType', `there is no protobuf form of ${kind} in ${apiVersion}`);
  const message = new WireWriter();
  encodeMessage(message, messageOf(type), object as Readonly<Record<string, unknown>>);
  const body = new WireWriter();
  body.tag(1, WireType.bytes);
  body.message(() => {
    body.tag(1, WireType.bytes);
    body.string(apiVersion);
    body.tag(2, WireType.bytes);
    body.string(kind);
  });
  body.tag(2, WireType.bytes);
  body.bytes(message.result());
  for (const number of [3, 4]) {
    body.tag(number, WireType.bytes);
    body.string('');
  }
  return Buffer.concat([magic, body.result()]);
}
