import { describe, expect, it } from 'vitest';
import { applyPatch } from './apply-patch.js';
import type { Json } from './json.js';
import { applyMergePatch, createMergePatch } from './merge-patch.js';

describe('applyMergePatch', () => {
  it('does what the table of RFC 7396 says', () => {
    const table: [Json, Json, Json][] = [
      [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
      [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
      [{ a: 'b' }, { a: null }, {}],
      [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
      [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
      [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
      [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
      [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
      [['a', 'b'], { a: 1 }, { a: 1 }],
      [{ e: null }, { a: 1 }, { e: null, a: 1 }],
      [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    ];
    for (const [target, patch, result] of table) expect(applyMergePatch(target, patch)).toEqual(result);
  });

  it('changes neither input, and refuses what is no mapping', () => {
    const [target, patch] = [{ a: { b: 1 } }, { a: { c: { d: 1 } } }];
    expect(applyMergePatch(target, patch)).toEqual({ a: { b: 1, c: { d: 1 } } });
    expect([target, patch]).toEqual([{ a: { b: 1 } }, { a: { c: { d: 1 } } }]);
    for (const wrong of [[], null, 'x', 1])
      expect(() => applyMergePatch({}, wrong)).toThrow(expect.objectContaining({ code: 400 }));
  });

  it('treats __proto__ as a name like any other', () => {
    const result = applyMergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}')) as object;
    expect(JSON.stringify(result)).toBe('{"__proto__":{"polluted":true}}');
    expect(({} as any).polluted).toBeUndefined();
  });
});

describe('createMergePatch', () => {
  it('removes what was applied before and is no more, and leaves what others added', () => {
    const original = { spec: { a: 1, gone: 1, list: [1, 2] } };
    const modified = { spec: { a: 2, new: { x: 1 }, list: [1] } };
    const current = { spec: { a: 1, gone: 1, list: [1, 2], theirs: 1 }, status: {} };
    const patch = createMergePatch({ original, modified, current });
    expect(patch).toEqual({ spec: { a: 2, gone: null, new: { x: 1 }, list: [1] } });
    expect(applyMergePatch(current, patch)).toEqual({
      spec: { a: 2, list: [1], new: { x: 1 }, theirs: 1 },
      status: {},
    });
  });

  it('is empty when nothing is to be done', () => {
    const same = { a: { b: [1, { c: 1 }] } };
    expect(createMergePatch({ original: same, modified: same, current: { ...same, x: 1 } })).toEqual({});
    expect(createMergePatch({ original: { gone: 1 }, modified: {}, current: {} })).toEqual({});
  });
});

describe('applyPatch', () => {
  it('refuses a strategic patch without a schema, as for custom resources', () => {
    expect(() => applyPatch({}, { type: 'strategic', patch: {} })).toThrow(expect.objectContaining({ code: 415 }));
    expect(applyPatch({ a: 1 }, { type: 'merge', patch: { a: null } })).toEqual({});
    expect(() => applyPatch({}, { type: 'json', patch: [{ op: 'add', path: '', value: 1 }] })).toThrow(
      'the patch leaves no object',
    );
  });
});
