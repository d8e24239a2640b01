/** Writing objects of kinds that are not built in: every change of them counts as a generation, an update names its version, and their scale stands where the kind says. */
import type { DynamicObject, Kind } from '@orbitkit/core';
import type { ReadonlyObject } from '../registry/object-bytes.js';
import type { ScaleOf, Strategy } from '../registry/strategy.js';
import { setValueAt, simplePath, valueAt } from './json-path.js';

const strategies = new WeakMap<Kind, Strategy>();

/** Undefined for a kind that is written like any other. */
export function customStrategyOf(kind: Kind): Strategy | undefined {
  if (!kind.custom && !kind.scale) return undefined;
  let strategy = strategies.get(kind);
  if (strategy === undefined) {
    strategy = {
      ...(kind.custom ? { generation: true, versionRequired: true } : {}),
      ...(kind.scale ? { scale: scaleAt(kind.scale) } : {}),
    };
    strategies.set(kind, strategy);
  }
  return strategy;
}

function scaleAt({ specReplicasPath, statusReplicasPath, labelSelectorPath }: NonNullable<Kind['scale']>): ScaleOf {
  const spec = simplePath(specReplicasPath) ?? ['spec', 'replicas'];
  const status = simplePath(statusReplicasPath) ?? ['status', 'replicas'];
  const selector = labelSelectorPath ? simplePath(labelSelectorPath) : undefined;
  const count = (object: ReadonlyObject, path: readonly string[]): number => {
    const value = valueAt(object, path);
    return typeof value === 'number' ? Math.trunc(value) : 0;
  };
  return {
    replicas: object => count(object, spec),
    observed: object => count(object, status),
    selector(object) {
      const value = selector && valueAt(object, selector);
      return typeof value === 'string' ? value : '';
    },
    set: (object: DynamicObject, replicas) => setValueAt(object, spec, replicas),
  };
}
