import { describe, expect, it } from 'vitest';
import type { Json } from './json.js';
import { applyJsonPatch } from './json-patch.js';

const apply = (target: Json, ...patch: object[]) => applyJsonPatch(target, patch);

describe('applyJsonPatch', () => {
  it('does what RFC 6902 says', () => {
    expect(apply({ a: 1 }, { op: 'add', path: '/b', value: { c: [] } })).toEqual({ a: 1, b: { c: [] } });
    expect(apply({ a: [1, 3] }, { op: 'add', path: '/a/1', value: 2 })).toEqual({ a: [1, 2, 3] });
    expect(apply({ a: [1] }, { op: 'add', path: '/a/-', value: 2 })).toEqual({ a: [1, 2] });
    expect(apply({ a: 1, b: 2 }, { op: 'remove', path: '/a' })).toEqual({ b: 2 });
    expect(apply({ a: [1, 2, 3] }, { op: 'remove', path: '/a/1' })).toEqual({ a: [1, 3] });
    expect(apply({ a: { b: 1 } }, { op: 'replace', path: '/a/b', value: null })).toEqual({ a: { b: null } });
    expect(apply({ a: { b: 1 } }, { op: 'move', from: '/a/b', path: '/c' })).toEqual({ a: {}, c: 1 });
    expect(apply({ a: { b: 1 } }, { op: 'copy', from: '/a', path: '/c' })).toEqual({ a: { b: 1 }, c: { b: 1 } });
    expect(
      apply({ 'x/y': 1, '~1': 2 }, { op: 'replace', path: '/x~1y', value: 3 }, { op: 'remove', path: '/~01' }),
    ).toEqual({ 'x/y': 3 });
    expect(apply({ a: { b: [1, { c: 2 }] } }, { op: 'test', path: '/a', value: { b: [1, { c: 2 }] } })).toEqual({
      a: { b: [1, { c: 2 }] },
    });
    expect(apply({ a: 1 }, { op: 'add', path: '', value: [1] })).toEqual([1]);
    expect(apply({ '': 1 }, { op: 'replace', path: '/', value: 2 })).toEqual({ '': 2 });
  });

  it('does what API servers do beyond it', () => {
    expect(apply({ a: [1, 2, 3] }, { op: 'remove', path: '/a/-1' })).toEqual({ a: [1, 2] });
    expect(apply({ a: [1, 2] }, { op: 'add', path: '/a/-1', value: 3 })).toEqual({ a: [1, 2, 3] });
    expect(apply({ a: {} }, { op: 'replace', path: '/a/b', value: 1 })).toEqual({ a: { b: 1 } });
    expect(apply({}, { op: 'test', path: '/none', value: null })).toEqual({});
  });

  it('is all or nothing, and changes neither input', () => {
    const target = { a: { b: [1] } };
    const value = { deep: [1] };
    const patch = [
      { op: 'add', path: '/c', value },
      { op: 'add', path: '/c/deep/-', value: 2 },
      { op: 'add', path: '/a/b/-', value: 2 },
    ];
    const result = applyJsonPatch(target, patch) as any;
    expect(result).toEqual({ a: { b: [1, 2] }, c: { deep: [1, 2] } });
    result.a.b.push(9);
    result.c.deep.push(9);
    expect([target, value]).toEqual([{ a: { b: [1] } }, { deep: [1] }]);
    expect(() => apply(target, { op: 'remove', path: '/a' }, { op: 'test', path: '/x', value: 1 })).toThrow();
    expect(target).toEqual({ a: { b: [1] } });
  });

  it('answers 422 to what does not apply, naming the operation', () => {
    const cases: [Json, object, string][] = [
      [{}, { op: 'remove', path: '/a' }, 'operation 0 (remove /a): nothing is there to remove'],
      [{ a: 1 }, { op: 'test', path: '/a', value: 2 }, 'operation 0 (test /a): the test failed'],
      [{ a: 1 }, { op: 'test', path: '/b', value: 2 }, 'the test failed'],
      [{}, { op: 'add', path: '/a/b', value: 1 }, 'there is no mapping or list at /a'],
      [{ a: 1 }, { op: 'add', path: '/a/b', value: 1 }, 'there is no mapping or list at /a'],
      [{ a: [] }, { op: 'add', path: '/a/1', value: 1 }, 'the list has only 0 elements'],
      [{ a: [] }, { op: 'replace', path: '/a/0', value: 1 }, 'the list has only 0 elements'],
      [{ a: [1] }, { op: 'remove', path: '/a/-2' }, 'the list has only 1 elements'],
      [{ a: [1] }, { op: 'remove', path: '/a/x' }, '"x" is not an index'],
      [{ a: [1] }, { op: 'remove', path: '/a/01' }, '"01" is not an index'],
      [{ a: 1 }, { op: 'remove', path: 'a' }, 'a path begins with "/"'],
      [{ a: 1 }, { op: 'remove', path: '' }, 'the whole document cannot be removed'],
      [{ a: {} }, { op: 'move', from: '/a', path: '/a/b' }, 'moved into itself'],
      [{}, { op: 'copy', from: '/a', path: '/b' }, 'nothing is at /a'],
    ];
    for (const [target, operation, message] of cases) {
      expect(() => apply(target, operation), message).toThrow(message);
      expect(() => apply(target, operation)).toThrow(expect.objectContaining({ code: 422, reason: 'Invalid' }));
    }
  });

  it('answers 400 to what is no patch', () => {
    expect(() => applyJsonPatch({}, {})).toThrow(
      'error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp',
    );
    for (const patch of [
      {},
      null,
      'x',
      [1],
      [{ op: 'jump', path: '/a' }],
      [{ op: 'add', value: 1 }],
      [{ op: 'add', path: '/a' }],
      [{ op: 'move', path: '/a' }],
    ]) {
      expect(() => applyJsonPatch({}, patch), JSON.stringify(patch)).toThrow(
        expect.objectContaining({ code: 400, reason: 'BadRequest' }),
      );
    }
  });

  it('is bounded in operations, copies and depth', () => {
    const operations = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: null }));
    expect(() => applyJsonPatch({}, operations)).toThrow(expect.objectContaining({ code: 413 }));
    expect(applyJsonPatch({}, operations.slice(1))).toEqual({});
    const doubling = Array.from({ length: 40 }, (_, i) => ({ op: 'copy', from: '', path: `/c${i}` }));
    expect(() => applyJsonPatch({ a: 'x'.repeat(1_000) }, doubling)).toThrow(expect.objectContaining({ code: 413 }));
    let deep: Json = 1;
    for (let i = 0; i < 600; i++) deep = [deep];
    expect(() => apply({}, { op: 'add', path: '/a', value: deep })).toThrow('nested deeper than 512 levels');
  });

  it('treats __proto__ as a name like any other', () => {
    const result = apply({}, { op: 'add', path: '/__proto__', value: { polluted: true } }) as object;
    expect(Object.hasOwn(result, '__proto__')).toBe(true);
    expect(({} as any).polluted).toBeUndefined();
    expect(() => apply({}, { op: 'add', path: '/__proto__/polluted', value: true })).toThrow('there is no mapping');
    expect(() => apply({}, { op: 'add', path: '/constructor/prototype/polluted', value: true })).toThrow(
      'there is no mapping',
    );
    expect(({} as any).polluted).toBeUndefined();
  });
});
