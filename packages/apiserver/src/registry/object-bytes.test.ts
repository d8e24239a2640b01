import type { DynamicObject } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { decodeValue } from '../storage/value.js';
import { RecentForms, StoredObject, serialize } from './object-bytes.js';

const object = (name: string): DynamicObject => ({
  spec: { template: { metadata: { labels: { a: 'ä' } } } },
  metadata: { name, resourceVersion: '999' } as DynamicObject['metadata'],
  apiVersion: 'v1',
  kind: 'Thing',
});
const stored = (name: string, revision: bigint, forms = new RecentForms()) =>
  new StoredObject(decodeValue(serialize(object(name))), revision, forms);

describe('serialize', () => {
  it('writes what JSON.stringify writes, managedFields in their place', () => {
    const owners = (fieldsV1: object) => [{ manager: 'm "ä"', operation: 'Update', apiVersion: 'v1', fieldsV1 }];
    for (const managedFields of [undefined, [], owners({}), owners({ 'f:metadata': { 'f:labels': {} } })])
      for (const annotations of [undefined, { managedFields: '"managedFields":null', ä: '€' }]) {
        const metadata = { name: 'a', annotations, managedFields, uid: 'u' } as unknown as DynamicObject['metadata'];
        const each: DynamicObject = { kind: 'Thing', apiVersion: 'v1', metadata, spec: { managedFields: null } };
        expect(decodeValue(serialize(each)).toString()).toBe(JSON.stringify(each));
        expect(each.metadata.managedFields).toBe(managedFields);
      }
  });
});

describe('StoredObject', () => {
  it("has its own resourceVersion in the object's metadata, wherever metadata stood when it was written", () => {
    const { bytes } = stored('a', 42n);
    expect(bytes.toString()).toBe(
      '{"kind":"Thing","apiVersion":"v1","metadata":{"resourceVersion":"42","name":"a"},"spec":{"template":{"metadata":{"labels":{"a":"ä"}}}}}',
    );
  });

  it('shares one buffer among readers, and puts it within the frame that watchers get', () => {
    const first = stored('a', 42n);
    const frame = first.frame('ADDED');
    expect(frame.toString()).toBe(`{"type":"ADDED","object":${first.bytes}}\n`);
    expect(first.bytes.buffer).toBe(frame.buffer);
    expect(first.frame('ADDED')).toBe(frame);
    expect(first.bytes).toBe(first.bytes);
    const readFirst = stored('a', 42n);
    const before = readFirst.bytes.toString();
    expect(readFirst.frame('MODIFIED').toString()).toBe(`{"type":"MODIFIED","object":${before}}\n`);
    expect(readFirst.bytes.toString()).toBe(before);
    expect(readFirst.bytes.buffer).toBe(readFirst.frame('MODIFIED').buffer);
    expect(readFirst.frame('ADDED').toString()).toBe(`{"type":"ADDED","object":${before}}\n`);
  });

  it('parses the same before and after the splice, and gives copies of their own', () => {
    const early = stored('a', 42n).copy();
    const late = stored('a', 42n);
    late.frame('ADDED');
    expect(late.copy()).toEqual(early);
    expect(early.metadata.resourceVersion).toBe('42');
    expect(late.copy()).not.toBe(late.copy());
    expect(late.object()).toBe(late.object());
  });

  it('tells whether JSON is its own, spliced or not', () => {
    for (const touch of [
      () => undefined,
      (each: StoredObject) => each.bytes,
      (each: StoredObject) => each.frame('ADDED'),
    ]) {
      const each = stored('a', 42n);
      touch(each);
      expect(each.sameJson(decodeValue(serialize(object('a'))))).toBe(true);
      expect(each.sameJson(decodeValue(serialize(object('b'))))).toBe(false);
      expect(each.sameJson(decodeValue(serialize(object('aa'))))).toBe(false);
      expect(each.jsonLength).toBe(decodeValue(serialize(object('a'))).length);
      expect(each.at(77n).bytes.toString()).toBe(stored('a', 77n).bytes.toString());
    }
  });

  it('carries no resourceVersion at revision 0', () => {
    const dry = stored('a', 0n);
    expect(JSON.parse(dry.bytes.toString()).metadata).toEqual({ name: 'a' });
    expect(dry.object().metadata.resourceVersion).toBeUndefined();
  });

  it('keeps parsed forms of the last objects only', () => {
    const forms = new RecentForms(2);
    const [a, b, c] = ['a', 'b', 'c'].map(name => stored(name, 1n, forms));
    const kept = a!.object();
    b!.object();
    expect(a!.object()).toBe(kept);
    c!.object();
    expect(forms.parsed).toBe(2);
    expect(a!.object()).toBe(kept);
    expect(forms.getParsed(b!)).toBeUndefined();
  });

  it('keeps spliced forms of the last objects only, and makes the others again', () => {
    const forms = new RecentForms(2, 1_000);
    const objects = Array.from({ length: 3_000 }, (_, n) => stored(`n${n}`, BigInt(n + 1), forms));
    const texts = objects.map((each, n) => (n % 2 ? each.bytes : each.frame('ADDED')).toString());
    expect(forms.splicedBytes).toBeLessThanOrEqual(1_000);
    const [first, last] = [objects[0]!, objects[objects.length - 1]!];
    expect(last.bytes).toBe(last.bytes);
    expect(first.frame('ADDED')).not.toBe(undefined);
    for (const [n, each] of objects.entries())
      expect((n % 2 ? each.bytes : each.frame('ADDED')).toString()).toBe(texts[n]);
    // What a watcher was given stays as it was.
    const kept = first.frame('MODIFIED');
    for (const each of objects) void each.bytes;
    expect(kept.toString()).toBe(`{"type":"MODIFIED","object":${first.bytes}}\n`);
    expect(forms.splicedBytes).toBeLessThanOrEqual(1_000);
  });
});
