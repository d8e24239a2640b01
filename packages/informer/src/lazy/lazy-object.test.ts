import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mutableCopy } from '../read-only.js';
import { KeptBytes } from './kept-bytes.js';
import { type LazyForm, lazyObject, recordOf } from './lazy-object.js';
import { identityOf } from './object-identity.js';

let parses = 0;
const form: LazyForm = {
  kind: 'Item',
  apiVersion: 'example.com/v1',
  finish(parsed) {
    parses++;
    parsed.kind ??= 'Item';
    parsed.apiVersion ??= 'example.com/v1';
    return parsed;
  },
  changesLabels: false,
};
const lazy = (value: unknown, before = '') => {
  const bytes = Buffer.from(`${before}${JSON.stringify(value)}`);
  return lazyObject<any>(bytes, Buffer.byteLength(before), bytes.length, form);
};
const full = {
  apiVersion: 'example.com/v1',
  kind: 'Item',
  metadata: { labels: { name: 'no', 'a/b': 'ü' }, namespace: 'ns', name: 'a', uid: 'u', resourceVersion: '9' },
  spec: { name: 'neither', list: [1, { x: null }] },
};

describe('lazyObject', () => {
  it('knows who it is and its labels without being parsed', () => {
    parses = 0;
    const object = lazy(full, '{"type":"ADDED","object":');
    const { name, namespace, uid, resourceVersion, labels } = object.metadata;
    expect({ name, namespace, uid, resourceVersion, labels }).toEqual(full.metadata);
    expect([object.kind, object.apiVersion]).toEqual(['Item', 'example.com/v1']);
    expect(parses).toBe(0);
    expect(object.spec.list).toEqual(full.spec.list);
    expect(object.spec).toBe(object.spec);
    expect(parses).toBe(1);
  });

  it('behaves as the parsed object', () => {
    const object = lazy(full);
    expect(object).toEqual(full);
    expect(JSON.parse(JSON.stringify(object))).toEqual(full);
    expect({ ...object, metadata: { ...object.metadata } }).toEqual(full);
    expect(mutableCopy(object)).toEqual(full);
    expect('spec' in object && !('status' in object) && !('generation' in object.metadata)).toBe(true);
    expect(Object.keys(object).sort()).toEqual(Object.keys(full).sort());
  });

  it('refuses to be written to', () => {
    const object = lazy(full);
    expect(() => {
      object.spec = 1;
    }).toThrow(TypeError);
    expect(() => {
      object.metadata.name = 'x';
    }).toThrow(TypeError);
    expect(() => delete object.spec).toThrow(TypeError);
  });

  it('finds the identity wherever it stands and however it is written', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 });
    fc.assert(
      fc.property(
        fc.record({ name: text, namespace: text, uid: text, resourceVersion: text }),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.boolean(),
        fc.constantFrom(0, 1, '\t'),
        (identity, more, other, last, layout) => {
          const metadata = { ...more, ...identity };
          const { metadata: _, ...rest } = other;
          const value = last ? { ...rest, metadata } : { metadata, ...rest };
          // What JSON cannot carry (half of a surrogate pair) becomes something else on its way through bytes.
          const bytes = Buffer.from(JSON.stringify(value, null, layout));
          const parsed = JSON.parse(bytes.toString()).metadata;
          expect(identityOf(bytes, 0)).toEqual({
            name: parsed.name,
            namespace: parsed.namespace,
            uid: parsed.uid,
            resourceVersion: parsed.resourceVersion,
          });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('has no identity in what is no object', () => {
    for (const text of ['', '[]', '{"metadata":{}}', '{"metadata":{"name":"a"', 'null', '{"spec":1}']) {
      expect(() => identityOf(Buffer.from(text), 0), text).toThrow(SyntaxError);
    }
  });
});

describe('KeptBytes', () => {
  it('holds at most twice what is in the cache, and no object ever changes, whatever comes and goes', () => {
    const change = fc.record({
      key: fc.nat(30),
      size: fc.nat(400),
      gone: fc.boolean(),
      chunk: fc.integer({ min: 1, max: 8 }),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), changes => {
        const kept = new KeptBytes();
        const cache = new Map<number, { object: any; text: string }>();
        const seen: { object: any; text: string }[] = [];
        let chunk = { bytes: Buffer.allocUnsafeSlow(0), at: 0 };
        for (const { key, size, gone, chunk: of } of changes) {
          const before = cache.get(key);
          if (gone) {
            if (before) kept.release(recordOf(before.object)!);
            cache.delete(key);
            continue;
          }
          const text = JSON.stringify({
            kind: 'Item',
            apiVersion: 'example.com/v1',
            metadata: { name: `n${key}` },
            data: 'x'.repeat(size),
          });
          if (chunk.at + text.length > chunk.bytes.length) chunk = { bytes: Buffer.allocUnsafeSlow(500 * of), at: 0 };
          chunk.bytes.write(text, chunk.at);
          const object = lazyObject<any>(chunk.bytes, chunk.at, chunk.at + text.length, form);
          chunk.at += text.length;
          if (before) kept.release(recordOf(before.object)!);
          kept.keep(recordOf(object)!);
          cache.set(key, { object, text });
          seen.push({ object, text });
        }
        const live = [...cache.values()].reduce((sum, { text }) => sum + text.length, 0);
        expect(kept.live).toBe(live);
        // The chunk that is being filled counts whole, and may be 4,000 bytes.
        expect(kept.held).toBeLessThanOrEqual(2 * live + 4_000);
        for (const { object, text } of seen) expect(JSON.stringify(object)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});
