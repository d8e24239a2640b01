import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Indexer } from './indexer.js';
import type { Item } from './testing/fake-collection.js';

const item = (name: string, namespace = 'default', tags: string[] = []): Item => ({
  apiVersion: 'example.com/v1',
  kind: 'Item',
  metadata: { name, namespace, uid: name, resourceVersion: '1', creationTimestamp: '' },
  spec: { tags },
});
const names = (items: readonly { metadata: { name: string } }[]) => items.map(each => each.metadata.name).sort();
const byTag = (object: { spec?: { tags?: readonly string[] } }) => object.spec?.tags ?? [];

describe('Indexer', () => {
  it('finds by key, by namespace and by index', () => {
    const store = new Indexer<Item>({ byTag });
    store.set(item('web', 'a', ['x', 'y']));
    store.set(item('web', 'b', ['y']));
    store.set(item('web2', 'a'));
    expect(store.get('a/web')?.spec?.tags).toEqual(['x', 'y']);
    expect(store.get({ namespace: 'a', name: 'web2' })?.metadata.name).toBe('web2');
    expect(store.get('a/we')).toBeUndefined();
    expect(names(store.list('a'))).toEqual(['web', 'web2']);
    expect(store.list().length).toBe(3);
    expect(store.byIndex('byTag', 'y').length).toBe(2);
    expect(store.indexValues('byTag').sort()).toEqual(['x', 'y']);
    expect(store.byIndex('byTag', 'none')).toEqual([]);
  });

  it('cluster-scoped objects are found by name alone', () => {
    const store = new Indexer<Item>();
    const node = item('n1');
    delete (node.metadata as { namespace?: string }).namespace;
    store.set(node);
    expect(store.get('n1')).toBe(node);
    expect(store.list('')).toEqual([node]);
  });

  it('an index added later covers what is there; the same again is harmless, another function is refused', () => {
    const store = new Indexer<Item>();
    store.set(item('web', 'a', ['x']));
    store.addIndexers({ byTag });
    store.addIndexers({ byTag });
    expect(store.byIndex('byTag', 'x').length).toBe(1);
    expect(() => store.addIndexers({ byTag: () => [] })).toThrow(/exists with another function/);
    expect(() => store.byIndex('byColour', 'x')).toThrow(/no index "byColour".*byTag/);
  });

  it('an index function that throws keeps the object out of that index only', () => {
    const errors: string[] = [];
    const store = new Indexer<Item>({ bad: () => JSON.parse('{') }, (index, error) => errors.push(`${index} ${error}`));
    store.set(item('web'));
    expect(store.get('default/web')).toBeDefined();
    expect(store.list('default').length).toBe(1);
    expect(errors[0]).toMatch(/^bad SyntaxError/);
  });

  it('every index always equals the one made from scratch', () => {
    const key = fc.constantFrom('p1', 'p2', 'p3');
    const tags = fc.uniqueArray(fc.constantFrom('x', 'y', 'z'));
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), key, key, tags), { maxLength: 40 }), steps => {
        const store = new Indexer<Item>({ byTag });
        const model = new Map<string, Item>();
        for (const [put, name, namespace, values] of steps) {
          const object = item(name, namespace, values);
          if (put) {
            store.set(object);
            model.set(`${namespace}/${name}`, object);
          } else {
            expect(store.delete({ namespace, name })).toBe(model.get(`${namespace}/${name}`));
            model.delete(`${namespace}/${name}`);
          }
        }
        for (const tag of ['x', 'y', 'z']) {
          const expected = [...model.values()].filter(object => object.spec?.tags?.includes(tag));
          expect(new Set(store.byIndex('byTag', tag))).toEqual(new Set(expected));
        }
        for (const namespace of ['p1', 'p2', 'p3']) {
          expect(store.list(namespace).length).toBe(
            [...model.values()].filter(o => o.metadata.namespace === namespace).length,
          );
        }
        expect(store.indexValues('byTag').every(tag => store.byIndex('byTag', tag).length > 0)).toBe(true);
      }),
    );
  });
});
