import { expect, it } from 'vitest';
import { sizesIn } from './remote-streams.js';

const size = (width: number, height: number) => ({ width, height });

it.each([
  ['{"Width":91,"Height":33}\n', [size(91, 33)]],
  ['{"height":33,"width":91}', [size(91, 33)]],
  ['{"Width":91,"Height":33}\n{"Width":92,"Height":34}\n', [size(91, 33), size(92, 34)]],
  ['{"width":1,"height":2}{"width":3,"height":4}', [size(1, 2), size(3, 4)]],
  ['{"Width":0,"Height":33}', []],
  ['{"Width":70000,"Height":33}', []],
  ['{"Width":"91","Height":33}', []],
  ['{"Width":91}', []],
  ['{"Width":', []],
  ['noise', []],
])('terminal sizes in %j', (text, sizes) => {
  expect(sizesIn(Buffer.from(text))).toEqual(sizes);
});
