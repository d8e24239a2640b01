import { describe, expect, it } from 'vitest';
import { Deployment, Pod } from '../kinds/generated/kinds.js';
import type { Schema } from '../kinds/schema.js';
import { applyStrategicPatch } from './strategic-patch.js';

const podSchema = Pod.schema;
const withContainers = (...names: string[]) => ({
  spec: { containers: names.map(name => ({ name, image: `image-${name}` })) },
});
const order = (result: any) => result.spec.containers.map((each: { name: string }) => each.name);
const patched = (target: object, patch: object, schema: Schema = podSchema): any =>
  applyStrategicPatch(target, patch, schema);

describe('lists with a merge key', () => {
  it('merge their elements; unmentioned ones stay', () => {
    expect(patched(withContainers('a', 'b'), { spec: { containers: [{ name: 'b', image: 'new' }] } })).toEqual({
      spec: {
        containers: [
          { name: 'a', image: 'image-a' },
          { name: 'b', image: 'new' },
        ],
      },
    });
  });

  it('put what is new at the front, in the order of the patch', () => {
    const patch = { spec: { containers: [{ name: 'x' }, { name: 'y' }] } };
    expect(order(patched(withContainers('a', 'b'), patch))).toEqual(['x', 'y', 'a', 'b']);
  });

  it('keep live elements before the patched ones that they preceded', () => {
    const patch = { spec: { containers: [{ name: 'b' }, { name: 'x' }] } };
    expect(order(patched(withContainers('a', 'b', 'c'), patch))).toEqual(['a', 'b', 'x', 'c']);
  });

  it('delete, and replace the whole list', () => {
    const live = withContainers('a', 'b');
    expect(order(patched(live, { spec: { containers: [{ $patch: 'delete', name: 'a' }] } }))).toEqual(['b']);
    expect(order(patched(live, { spec: { containers: [{ $patch: 'replace' }, { name: 'z' }] } }))).toEqual(['z']);
    expect(order(patched(live, { spec: { containers: [{ $patch: 'delete', name: 'none' }] } }))).toEqual(['a', 'b']);
  });

  it('follow $setElementOrder, also without a change of elements', () => {
    const setOrder = (...names: string[]) => names.map(name => ({ name }));
    const live = withContainers('a', 'b', 'c');
    expect(order(patched(live, { spec: { '$setElementOrder/containers': setOrder('c', 'b', 'a') } }))).toEqual([
      'c',
      'b',
      'a',
    ]);
    expect(
      order(
        patched(live, {
          spec: { containers: [{ name: 'x' }], '$setElementOrder/containers': setOrder('a', 'b', 'x') },
        }),
      ),
    ).toEqual(['a', 'b', 'x', 'c']);
    expect(
      order(
        patched(live, {
          spec: { containers: [{ name: 'b', image: 'n' }], '$setElementOrder/containers': setOrder('b', 'a') },
        }),
      ),
    ).toEqual(['b', 'a', 'c']);
  });

  it('merge by the key alone, even where it does not tell elements apart', () => {
    const live = {
      spec: {
        containers: [
          {
            name: 'a',
            ports: [
              { containerPort: 80, protocol: 'TCP' },
              { containerPort: 80, protocol: 'UDP' },
            ],
          },
        ],
      },
    };
    const result = patched(live, {
      spec: { containers: [{ name: 'a', ports: [{ containerPort: 80, name: 'web' }] }] },
    });
    expect(result.spec.containers[0].ports).toEqual([
      { containerPort: 80, protocol: 'TCP', name: 'web' },
      { containerPort: 80, protocol: 'UDP' },
    ]);
  });

  it('are refused when they cannot be understood', () => {
    const refused: [object, string][] = [
      [
        { spec: { containers: [{ image: 'x' }] } },
        'spec.containers: map: map[image:x] does not contain declared merge key: name',
      ],
      [{ spec: { containers: ['x'] } }, 'its elements are of several types'],
      [{ spec: { containers: [[1]] } }, 'lists of lists cannot be merged'],
      [
        { spec: { containers: [{ $patch: 'swap', name: 'a' }] } },
        'unknown patch type: swap in map: map[$patch:swap name:a]',
      ],
      [{ spec: { containers: [{ $patch: 'merge', name: 'a' }] } }, 'unknown patch type: merge in map'],
      [{ spec: { containers: [{ $patch: 'delete' }] } }, 'does not contain declared merge key'],
      [
        {
          spec: {
            containers: [{ name: 'b' }, { name: 'a' }],
            '$setElementOrder/containers': [{ name: 'a' }, { name: 'b' }],
          },
        },
        "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n",
      ],
      [{ spec: { '$setElementOrder/containers': 'x' } }, 'must be a list'],
      [{ spec: { $patch: 'swap' } }, 'spec: unknown patch type: swap in map: map[$patch:swap]'],
    ];
    for (const [patch, message] of refused) {
      expect(() => patched(withContainers('a', 'b'), patch), message).toThrow(message);
      expect(() => patched(withContainers('a', 'b'), patch)).toThrow(expect.objectContaining({ code: 400 }));
    }
    expect(() => applyStrategicPatch({}, [], podSchema)).toThrow('a strategic merge patch is a mapping');
  });
});

describe('lists of values', () => {
  const live = { metadata: { finalizers: ['a', 'b', 'c'] } };

  it('are sets: added once, deleted by value, put in order', () => {
    expect(patched(live, { metadata: { finalizers: ['x', 'b'] } }).metadata.finalizers).toEqual(['x', 'a', 'b', 'c']);
    expect(
      patched(live, { metadata: { '$deleteFromPrimitiveList/finalizers': ['b', 'none'] } }).metadata.finalizers,
    ).toEqual(['a', 'c']);
    expect(patched(live, { metadata: { '$setElementOrder/finalizers': ['c', 'a'] } }).metadata.finalizers).toEqual([
      'b',
      'c',
      'a',
    ]);
    const both = {
      finalizers: ['x'],
      '$deleteFromPrimitiveList/finalizers': ['a'],
      '$setElementOrder/finalizers': ['b', 'x', 'c'],
    };
    expect(patched(live, { metadata: both }).metadata.finalizers).toEqual(['b', 'x', 'c']);
    expect(patched({ metadata: {} }, { metadata: both }).metadata.finalizers).toEqual(['x']);
  });

  it('are replaced when the field does not merge', () => {
    const tolerations = (...keys: string[]) => ({ spec: { tolerations: keys.map(key => ({ key })) } });
    expect(patched(tolerations('a', 'b'), tolerations('c'))).toEqual(tolerations('c'));
  });
});

describe('mappings', () => {
  const live = { spec: { nodeSelector: { disk: 'ssd', zone: 'a' }, nodeName: 'n' } };

  it('merge, lose what is null, and are replaced or emptied by directive', () => {
    expect(patched(live, { spec: { nodeSelector: { zone: null, x: 'y' } } }).spec.nodeSelector).toEqual({
      disk: 'ssd',
      x: 'y',
    });
    expect(patched(live, { spec: { nodeSelector: { $patch: 'replace', x: 'y' } } }).spec.nodeSelector).toEqual({
      x: 'y',
    });
    expect(patched(live, { spec: { nodeSelector: { $patch: 'delete' } } }).spec.nodeSelector).toEqual({});
    expect(patched(live, { spec: { nodeSelector: null } }).spec).toEqual({ nodeName: 'n' });
  });

  it('keep no directive and no null where nothing was', () => {
    const patch = {
      spec: {
        nodeSelector: { $patch: 'delete' },
        securityContext: { runAsUser: 1, runAsGroup: null },
        volumes: [
          { name: 'v', $retainKeys: ['name'] },
          { $patch: 'delete', name: 'w' },
        ],
        '$setElementOrder/tolerations': [],
      },
    };
    expect(patched({ spec: {} }, patch)).toEqual({
      spec: { securityContext: { runAsUser: 1 }, volumes: [{ name: 'v' }] },
    });
  });

  it('drop with $retainKeys what is not listed', () => {
    const deployment = { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } };
    const recreate = { spec: { strategy: { type: 'Recreate', $retainKeys: ['type'] } } };
    expect(patched(deployment, recreate, Deployment.schema)).toEqual({ spec: { strategy: { type: 'Recreate' } } });
    const volumes = { spec: { volumes: [{ name: 'v', emptyDir: {} }] } };
    const change = { spec: { volumes: [{ name: 'v', configMap: { name: 'c' }, $retainKeys: ['name', 'configMap'] }] } };
    expect(patched(volumes, change)).toEqual({ spec: { volumes: [{ name: 'v', configMap: { name: 'c' } }] } });
    expect(() =>
      patched(deployment, { spec: { strategy: { type: 'x', $retainKeys: [] } } }, Deployment.schema),
    ).toThrow('spec.strategy.type: is set by the patch but not listed in $retainKeys');
    expect(() => patched(deployment, { spec: { strategy: { $retainKeys: 'type' } } }, Deployment.schema)).toThrow(
      '$retainKeys must be a list',
    );
  });
});

describe('any strategic patch', () => {
  it('changes neither input, and refuses what is too deep', () => {
    const target = { ...withContainers('a', 'b'), metadata: { finalizers: ['x'] } };
    const patch = {
      spec: {
        containers: [{ name: 'b', env: [{ name: 'X', value: '1' }] }],
        '$setElementOrder/containers': [{ name: 'b' }],
      },
      metadata: { '$deleteFromPrimitiveList/finalizers': ['x'] },
    };
    const before = structuredClone([target, patch]);
    expect(patched(target, patch).metadata.finalizers).toEqual([]);
    expect([target, patch]).toEqual(before);
    let deep: object = {};
    for (let i = 0; i < 600; i++) deep = { a: deep };
    expect(() => patched({}, deep)).toThrow('nested deeper');
  });

  it('merges what the type does not know as JSON', () => {
    const live = { spec: { unknown: { a: { b: 1 }, list: [1] } } };
    expect(patched(live, { spec: { unknown: { a: { c: 2 }, list: [2] } } })).toEqual({
      spec: { unknown: { a: { b: 1, c: 2 }, list: [2] } },
    });
    expect(patched({}, JSON.parse('{"__proto__":{"polluted":1}}'))).not.toHaveProperty('polluted');
    expect(({} as any).polluted).toBeUndefined();
  });
});
