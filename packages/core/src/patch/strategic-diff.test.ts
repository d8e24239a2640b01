import { describe, expect, it } from 'vitest';
import { Deployment, Pod } from '../kinds/generated/kinds.js';
import { createStrategicPatch } from './strategic-diff.js';
import { applyStrategicPatch } from './strategic-patch.js';

const spec = (fields: object) => ({ spec: fields });
const containers = (...names: string[]) => spec({ containers: names.map(name => ({ name, image: 'x' })) });

describe('createStrategicPatch', () => {
  it('sends changes and removals, and leaves what others added', () => {
    const original = spec({
      containers: [
        { name: 'a', image: 'x' },
        { name: 'old', image: 'x' },
      ],
      nodeSelector: { disk: 'ssd', zone: 'a' },
    });
    const modified = spec({
      containers: [
        { name: 'a', image: 'y' },
        { name: 'new', image: 'z' },
      ],
      nodeSelector: { disk: 'ssd' },
    });
    const current = spec({
      containers: [
        { name: 'a', image: 'x', imagePullPolicy: 'Always' },
        { name: 'old', image: 'x' },
        { name: 'sidecar', image: 's' },
      ],
      nodeSelector: { disk: 'ssd', zone: 'a', theirs: 'b' },
      nodeName: 'n1',
    });
    const patch = createStrategicPatch({ original, modified, current }, Pod.schema);
    expect(patch).toEqual(
      spec({
        containers: [
          { name: 'a', image: 'y' },
          { name: 'new', image: 'z' },
          { $patch: 'delete', name: 'old' },
        ],
        '$setElementOrder/containers': [{ name: 'a' }, { name: 'new' }],
        nodeSelector: { zone: null },
      }),
    );
    expect(applyStrategicPatch(current, patch, Pod.schema)).toEqual(
      spec({
        containers: [
          { name: 'a', image: 'y', imagePullPolicy: 'Always' },
          { name: 'sidecar', image: 's' },
          { name: 'new', image: 'z' },
        ],
        nodeSelector: { disk: 'ssd', theirs: 'b' },
        nodeName: 'n1',
      }),
    );
  });

  it('is empty when nothing is to be done', () => {
    const same = containers('a', 'b');
    expect(
      createStrategicPatch({ original: same, modified: same, current: containers('a', 'sidecar', 'b') }, Pod.schema),
    ).toEqual({});
    expect(
      createStrategicPatch(
        { original: containers('a', 'gone'), modified: containers('a'), current: containers('a') },
        Pod.schema,
      ),
    ).toEqual({});
  });

  it('adopts an object that was never applied', () => {
    const patch = createStrategicPatch({ modified: containers('a'), current: containers('b') }, Pod.schema);
    expect(patch).toEqual(
      spec({ containers: [{ name: 'a', image: 'x' }], '$setElementOrder/containers': [{ name: 'a' }] }),
    );
  });

  it('carries order, values to delete, and $retainKeys', () => {
    const lists = createStrategicPatch(
      {
        original: { metadata: { finalizers: ['a', 'b'] } },
        modified: { metadata: { finalizers: ['c', 'a'] } },
        current: { metadata: { finalizers: ['a', 'b', 'x'] } },
      },
      Pod.schema,
    );
    expect(lists).toEqual({
      metadata: {
        finalizers: ['c'],
        '$deleteFromPrimitiveList/finalizers': ['b'],
        '$setElementOrder/finalizers': ['c', 'a'],
      },
    });
    expect(
      createStrategicPatch(
        { original: containers('a', 'b'), modified: containers('b', 'a'), current: containers('a', 'b') },
        Pod.schema,
      ),
    ).toEqual(spec({ '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] }));
    const rolling = spec({ strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } });
    const recreate = spec({ strategy: { type: 'Recreate' } });
    expect(
      createStrategicPatch({ original: recreate, modified: recreate, current: rolling }, Deployment.schema),
    ).toEqual(spec({ strategy: { type: 'Recreate', $retainKeys: ['type'] } }));
  });

  it('replaces a list whose elements cannot be told apart', () => {
    const ports = (...list: object[]) => spec({ containers: [{ name: 'a', ports: list }] });
    const live = ports({ containerPort: 80, protocol: 'TCP' }, { containerPort: 80, protocol: 'UDP' });
    const modified = ports({ containerPort: 80, protocol: 'TCP' }, { containerPort: 80, protocol: 'SCTP' });
    const patch = createStrategicPatch({ original: live, modified, current: live }, Pod.schema);
    expect(applyStrategicPatch(live, patch, Pod.schema)).toEqual(modified);
  });
});
