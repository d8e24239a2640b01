import { expect, it } from 'vitest';
import { type DeepReadonly, deepFreeze, mutableCopy } from './read-only.js';

interface Shape {
  list: { a: number }[];
  map: Record<string, string>;
}

it('a copy shares nothing and may be changed; the original cannot', () => {
  const original: DeepReadonly<Shape> = deepFreeze({ list: [{ a: 1 }], map: { k: 'v' } } as Shape);
  // @ts-expect-error read-only by type
  expect(() => original.list.push({ a: 2 })).toThrow(TypeError);
  expect(() => {
    // @ts-expect-error read-only by type
    original.list[0]!.a = 5;
  }).toThrow(TypeError);
  const copy: Shape = mutableCopy<Shape>(original);
  copy.list[0]!.a = 2;
  copy.map['k'] = 'w';
  expect(original).toEqual({ list: [{ a: 1 }], map: { k: 'v' } });
  expect(mutableCopy<unknown>([null, 'x', { a: undefined }])).toEqual([null, 'x', { a: undefined }]);
});
