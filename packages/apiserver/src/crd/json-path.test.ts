import { expect, it } from 'vitest';
import { parseJsonPath, setValueAt, simplePath } from './json-path.js';

const object = {
  metadata: { labels: { 'a.b/c': 'x' } },
  spec: {
    size: 3,
    list: [
      { name: 'a', n: 1 },
      { name: 'b', n: 2 },
    ],
  },
  status: {
    conditions: [
      { type: 'Ready', status: 'True' },
      { type: 'Other', status: 'False' },
    ],
  },
};

it.each([
  ['.spec.size', [3]],
  ['.spec.nope.deeper', []],
  ["$.metadata.labels['a.b/c']", ['x']],
  ['.metadata.labels.a\\.b/c', ['x']],
  ['.spec.list[0].name', ['a']],
  ['.spec.list[-1].name', ['b']],
  ['.spec.list[*].name', ['a', 'b']],
  ['.spec.list[0:1].name', ['a']],
  ['.spec.list[?(@.n>1)].name', ['b']],
  ['.status.conditions[?(@.type=="Ready")].status', ['True']],
  [".status.conditions[?(@.type=='Nope')].status", []],
  ['..name', ['a', 'b']],
  ['.constructor', []],
])('%s finds %j', (path, found) => {
  expect(parseJsonPath(path)(object)).toEqual(found);
});

it.each(['.spec[', '.spec.list[?(@.n>>1)]', 'spec', '.a..', '.a[?(x)]'])('%s cannot be read', path => {
  expect(() => parseJsonPath(path)).toThrow(/cannot be read/);
});

it('sets what is not there yet', () => {
  const target = {};
  setValueAt(target, simplePath('.spec.replicas')!, 3);
  expect(target).toEqual({ spec: { replicas: 3 } });
});
