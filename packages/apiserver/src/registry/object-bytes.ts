/**
 * One version of one object, as bytes. The store keeps JSON without resourceVersion, and this is a view into it; the version is spliced in
 * on the first read, behind `"metadata":{` (which `serialize` puts first, with kind and apiVersion before it, so the first occurrence
 * in the text is the object's own). When the first reader is a watcher, splice and framing are one copy: `bytes` is then a part of
 * the frame.
 *
 * What is made of the stored bytes is kept for the objects that were read last only (`RecentForms`): spliced copies of all would double the
 * memory of a server, and parsed forms of all cost 40 % of the write rate and pauses of half a second (measured).
 */
import { type DynamicObject, type FieldManagers, managersText } from '@orbitkit/core';
import { allocateKept } from '../storage/byte-slabs.js';
import { encodeValueText } from '../storage/value.js';
import type { ObjectBytes } from './contract.js';
import type { SelectableFields } from './field-selectors.js';
import { copyJson } from './json-value.js';

export type ReadonlyObject = Readonly<DynamicObject>;
export type ChangeType = 'ADDED' | 'MODIFIED' | 'DELETED';

const metadataStart = Buffer.from('"metadata":{');
const frameStart: Record<ChangeType, Buffer> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};
const frameEnd = Buffer.from('}\n');

/** What selectors look at: labels, and the fields that the kind lets one select by. */
export interface Selectable {
  readonly labels: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string>>;
}
const noLabels: Readonly<Record<string, string>> = Object.freeze({});

/** What was made of the stored bytes of the objects that were read last: parsed forms by number, spliced ones by bytes. */
export class RecentForms {
  readonly #parsed = new Map<StoredObject, ReadonlyObject>();
  /** In the order in which they were made, from `#head` on. */
  #spliced: (StoredObject | undefined)[] = [];
  #sizes: number[] = [];
  #head = 0;
  #splicedBytes = 0;

  constructor(
    readonly parsedLimit = 2048,
    readonly splicedLimit = 32 << 20,
  ) {}

  get parsed(): number {
    return this.#parsed.size;
  }
  get splicedBytes(): number {
    return this.#splicedBytes;
  }

  getParsed(owner: StoredObject): ReadonlyObject | undefined {
    const parsed = this.#parsed.get(owner);
    if (parsed !== undefined) {
      this.#parsed.delete(owner);
      this.#parsed.set(owner, parsed);
    }
    return parsed;
  }

  setParsed(owner: StoredObject, parsed: ReadonlyObject): void {
    this.#parsed.set(owner, parsed);
    if (this.#parsed.size > this.parsedLimit) this.#parsed.delete(this.#parsed.keys().next().value!);
  }

  /** The owner has made a form of so many bytes; it will be told to forget it. */
  addSpliced(owner: StoredObject, bytes: number): void {
    this.#spliced.push(owner);
    this.#sizes.push(bytes);
    this.#splicedBytes += bytes;
    while (this.#splicedBytes > this.splicedLimit) {
      this.#spliced[this.#head]!.forgetSpliced();
      this.#splicedBytes -= this.#sizes[this.#head]!;
      this.#spliced[this.#head++] = undefined;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#spliced.length) {
      this.#spliced = this.#spliced.slice(this.#head);
      this.#sizes = this.#sizes.slice(this.#head);
      this.#head = 0;
    }
  }
}

export class StoredObject implements ObjectBytes {
  /** JSON without resourceVersion: a view into the stored value. */
  readonly #json: Buffer;
  #bytes: Buffer | undefined;
  #frame: Buffer | undefined;
  #frameType: ChangeType | undefined;
  #selectable: Selectable | undefined;
  #selectedBy: SelectableFields | undefined;

  /** Revision 0 gets no resourceVersion at all (the answer of a dry run). */
  constructor(
    json: Buffer,
    readonly revision: bigint,
    private readonly forms: RecentForms,
    /** In another form than that in which it is stored (current-form.ts). */
    readonly stale = false,
  ) {
    this.#json = json;
  }

  /** Length of the bytes, roughly: for bounds. */
  get size(): number {
    return this.#json.length;
  }

  get bytes(): Buffer {
    if (this.revision === 0n) return this.#json;
    if (this.#bytes === undefined) {
      this.#bytes = splice(this.#json, this.revision, undefined);
      this.forms.addSpliced(this, this.#bytes.length);
    }
    return this.#bytes;
  }

  /**
   * `{"type":…,"object":…}` and a newline. The first type that is asked for is kept for a while, and `bytes` then lies within it: one copy
   * in memory for readers and watchers.
   */
  frame(type: ChangeType): Buffer {
    if (this.#frameType === type) return this.#frame!;
    const start = frameStart[type];
    const frame =
      this.#bytes === undefined && this.revision !== 0n
        ? splice(this.#json, this.revision, start)
        : Buffer.concat([start, this.bytes, frameEnd]);
    if (this.#frame === undefined) {
      this.#bytes = frame.subarray(start.length, frame.length - frameEnd.length);
      this.#frame = frame;
      this.#frameType = type;
      this.forms.addSpliced(this, frame.length);
    }
    return frame;
  }

  /** What was made of the stored bytes goes; it is made again for the next reader. */
  forgetSpliced(): void {
    this.#bytes = undefined;
    this.#frame = undefined;
    this.#frameType = undefined;
  }

  object(): ReadonlyObject {
    let object = this.forms.getParsed(this);
    if (object === undefined) {
      object = this.#parse();
      this.forms.setParsed(this, object);
    }
    return object;
  }

  /** A parsed form of the caller's own, but for `metadata.managedFields`: it is large, and nobody changes it in place. */
  copy(): DynamicObject {
    const { metadata, ...rest } = this.object();
    const { managedFields, ...fields } = metadata;
    const copy = copyJson({ ...rest, metadata: fields }) as unknown as DynamicObject;
    if (managedFields !== undefined) copy.metadata.managedFields = managedFields;
    return copy;
  }

  #parse(): DynamicObject {
    const object = JSON.parse(this.#json.toString()) as DynamicObject;
    if (this.revision !== 0n) object.metadata.resourceVersion = String(this.revision);
    return object;
  }

  /** Offers the parsed form that a writer already has. It must not change any more. */
  offerParsed(object: DynamicObject): void {
    if (this.forms.getParsed(this) === undefined) this.forms.setParsed(this, object);
  }

  selectable(fields: SelectableFields): Selectable {
    if (this.#selectable === undefined || this.#selectedBy !== fields) {
      this.#selectedBy = fields;
      const object = this.object();
      this.#selectable = { labels: object.metadata.labels ?? noLabels, fields: fields.of(object) };
    }
    return this.#selectable;
  }

  /** Whether this JSON is the object's, but for its resourceVersion. */
  sameJson(json: Buffer): boolean {
    return this.#json.equals(json);
  }

  /** Length of the JSON without resourceVersion. */
  get jsonLength(): number {
    return this.#json.length;
  }

  /** The same state under another revision: what DELETED events carry. */
  at(revision: bigint): StoredObject {
    return new StoredObject(this.#json, revision, this.forms);
  }
}

const resourceVersionText = (revision: bigint): string => `"resourceVersion":"${revision}",`;

function splice(json: Buffer, revision: bigint, start: Buffer | undefined): Buffer {
  const at = json.indexOf(metadataStart) + metadataStart.length;
  const version = resourceVersionText(revision);
  const lead = start === undefined ? 0 : start.length;
  const bytes = allocateKept(lead + json.length + version.length + (start === undefined ? 0 : frameEnd.length));
  if (start !== undefined) start.copy(bytes, 0);
  json.copy(bytes, lead, 0, at);
  bytes.write(version, lead + at, 'latin1');
  json.copy(bytes, lead + at + version.length, at);
  if (start !== undefined) frameEnd.copy(bytes, bytes.length - frameEnd.length);
  return bytes;
}

/**
 * The one serialisation of a write: a stored value whose JSON has kind, apiVersion and metadata first and no resourceVersion.
 * The object itself is left without resourceVersion.
 */
export function serialize(object: DynamicObject): Buffer {
  const { metadata } = object;
  metadata.resourceVersion = undefined as never;
  const { managedFields } = metadata;
  if (managedFields === undefined || managedFields.length === 0) return encodeValueText(jsonText(object));
  // A third of the text, and mostly the same for many objects: it is put into its place.
  metadata.managedFields = null as never;
  let text: string;
  try {
    text = jsonText(object);
  } finally {
    metadata.managedFields = managedFields;
  }
  // Nothing before it in metadata can hold null.
  const at = text.indexOf(managedFieldsPlace) + managedFieldsPlace.length;
  return encodeValueText(
    text.slice(0, at - 4),
    managersText(managedFields as unknown as FieldManagers),
    text.slice(at),
  );
}
const managedFieldsPlace = '"managedFields":null';

const jsonText = (object: DynamicObject): string => JSON.stringify(inOrder(object) ? object : ordered(object));

/** Decoded objects mostly are. */
function inOrder(object: DynamicObject): boolean {
  let at = 0;
  for (const name in object) {
    if (name !== (at === 0 ? 'kind' : at === 1 ? 'apiVersion' : 'metadata')) return false;
    if (++at === 3) return true;
  }
  return false;
}

function ordered({ kind, apiVersion, metadata, ...rest }: DynamicObject): DynamicObject {
  return { kind, apiVersion, metadata, ...rest };
}
