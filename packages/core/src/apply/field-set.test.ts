import { describe, expect, it } from 'vitest';
import {
  asMember,
  difference,
  emptySet,
  type FieldSet,
  fieldSet,
  intersection,
  isEmptySet,
  pathTexts,
  readFieldSet,
  recursiveDifference,
  union,
} from './field-set.js';
import { compareElements, elementText, fieldElement, keyElement, valueElement } from './path-element.js';

const path = (...names: string[]) => names.map(fieldElement);
const set = (...paths: string[]) => fieldSet(...paths.map(each => path(...each.split('.'))));

describe('path elements', () => {
  it('are written as other servers write them', () => {
    expect(fieldElement('app.kubernetes.io/name')).toBe('f:app.kubernetes.io/name');
    expect(keyElement(['containerPort', 'protocol'], [80, 'TCP'])).toBe('k:{"containerPort":80,"protocol":"TCP"}');
    expect(valueElement('a<b>&')).toBe('v:"a\\u003cb\\u003e\\u0026"');
    expect(valueElement(true)).toBe('v:true');
  });

  it('have an order: fields, keys, values, positions; numbers by value', () => {
    const sorted = [
      'f:a',
      'f:b',
      'k:{"name":"a"}',
      'k:{"name":"ab"}',
      'k:{"port":9}',
      'k:{"port":80}',
      'k:{"port":80,"protocol":"TCP"}',
      'v:9',
      'v:80',
      'v:"a"',
      'v:true',
      'i:2',
      'i:10',
    ];
    expect([...sorted].reverse().sort(compareElements)).toEqual(sorted);
  });

  it('read as paths in texts', () => {
    expect(['f:spec', 'k:{"name":"c1"}', 'v:"x"', 'i:3'].map(elementText).join('')).toBe('.spec[name="c1"][="x"][3]');
  });
});

describe('field sets', () => {
  it('hold paths; one that is above another needs a dot', () => {
    expect(set('a.b', 'a', 'c')).toEqual({ 'f:a': { '.': {}, 'f:b': {} }, 'f:c': {} });
    expect(Object.keys(set('b', 'a', 'c'))).toEqual(['f:a', 'f:b', 'f:c']);
  });

  it('unite, and answer an operand where it is the result', () => {
    const a = set('a.b', 'c');
    expect(union(a, set('a.b'))).toBe(a);
    expect(union(a, emptySet)).toBe(a);
    expect(union(emptySet, a)).toBe(a);
    expect(union(a, set('a'))).toEqual({ 'f:a': { '.': {}, 'f:b': {} }, 'f:c': {} });
    expect(Object.keys(union(set('b.x', 'd'), set('c', 'a', 'b')))).toEqual(['f:a', 'f:b', 'f:c', 'f:d']);
  });

  it('subtract path by path, or with all that is below', () => {
    const a = set('a', 'a.b', 'a.c', 'd');
    expect(difference(a, set('a'))).toEqual({ 'f:a': { 'f:b': {}, 'f:c': {} }, 'f:d': {} });
    expect(difference(a, set('a.b', 'a.c'))).toEqual({ 'f:a': {}, 'f:d': {} });
    expect(difference(a, set('x', 'a.z'))).toBe(a);
    expect(isEmptySet(difference(a, a))).toBe(true);
    expect(recursiveDifference(a, set('a'))).toEqual({ 'f:d': {} });
    expect(recursiveDifference(a, set('a.b'))).toEqual({ 'f:a': { '.': {}, 'f:c': {} }, 'f:d': {} });
  });

  it('intersect', () => {
    expect(intersection(set('a', 'a.b', 'c'), set('a.b', 'c.d'))).toEqual({ 'f:a': { 'f:b': {} } });
    expect(intersection(set('a'), set('b'))).toBe(emptySet);
  });

  it('tell their paths: members of a level before what is below', () => {
    expect(pathTexts(set('b', 'a.x', 'c.y', 'c'))).toEqual(['.b', '.c', '.a.x', '.c.y']);
  });

  it('are read from others in canonical form', () => {
    const read = readFieldSet({
      'f:b': {},
      'k:{ "z":1,"a":"x" }': { '.': {} },
      'f:a': { 'f:x': {} },
      'q:new': {},
      '.': {},
    });
    expect(JSON.stringify(read)).toBe('{"f:a":{"f:x":{}},"f:b":{},"k:{\\"a\\":\\"x\\",\\"z\\":1}":{}}');
    for (const wrong of [null, 'x', { 'f:a': 1 }, { nonsense: {} }, { 'k:[]': {} }, { 'i:x': {} }, { 'v:{': {} }])
      expect(() => readFieldSet(wrong), JSON.stringify(wrong)).toThrow(SyntaxError);
    let deep: FieldSet = {};
    for (let i = 0; i < 600; i++) deep = { 'f:a': deep };
    expect(() => readFieldSet(deep)).toThrow('nested deeper than 512 levels');
  });

  it('take __proto__ for a name like any other', () => {
    const read = readFieldSet(JSON.parse('{"f:__proto__":{"f:polluted":{}}}'));
    expect(pathTexts(union(read, set('a')))).toEqual(['.a', '.__proto__.polluted']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(asMember(read)['.']).toEqual({});
  });
});
