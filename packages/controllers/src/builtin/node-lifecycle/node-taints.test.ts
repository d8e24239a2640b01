import type { Node } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { desiredTaints, stayingSeconds, type Taint, unreachableTaint } from './node-taints.js';

const now = Date.UTC(2026, 0, 1);
const node = (ready: string, taints?: Taint[], more: object = {}, unschedulable = false) =>
  ({
    metadata: { name: 'n' },
    spec: { ...(taints ? { taints } : {}), unschedulable },
    status: {
      conditions: [
        { type: 'Ready', status: ready },
        ...Object.entries(more).map(([type, status]) => ({ type, status })),
      ],
    },
  }) as unknown as Node;
const ids = (taints: readonly Taint[]) => taints.map(taint => `${taint.key.split('/').at(-1)}:${taint.effect}`);
const foreign: Taint = { key: 'team', value: 'a', effect: 'NoSchedule' };

describe('the taints of a node', () => {
  it('follow its conditions and leave those of others alone', () => {
    expect(ids(desiredTaints(node('True', [foreign]), 'add', now))).toEqual(['team:NoSchedule']);
    expect(ids(desiredTaints(node('False', [foreign]), 'add', now))).toEqual([
      'team:NoSchedule',
      'not-ready:NoSchedule',
      'not-ready:NoExecute',
    ]);
    expect(ids(desiredTaints(node('Unknown'), 'keep', now))).toEqual(['unreachable:NoSchedule']);
    expect(
      ids(desiredTaints(node('True', [], { MemoryPressure: 'True', DiskPressure: 'False' }, true), 'keep', now)),
    ).toEqual(['memory-pressure:NoSchedule', 'unschedulable:NoSchedule']);
  });

  it('go when the node is back, change when the outage changes, and stay otherwise', () => {
    const out = desiredTaints(node('Unknown'), 'add', now);
    expect(out.every(taint => taint.timeAdded !== undefined)).toBe(true);
    expect(desiredTaints(node('Unknown', [...out]), 'keep', now + 1000)).toEqual(out);
    const same = node('Unknown', [...out]);
    expect(desiredTaints(same, 'keep', now)).toBe(same.spec.taints);
    expect(desiredTaints(node('True', [...out]), 'keep', now)).toEqual([]);
    expect(ids(desiredTaints(node('False', [...out]), 'keep', now))).toEqual([
      'not-ready:NoSchedule',
      'not-ready:NoExecute',
    ]);
    expect(ids(desiredTaints(node('Unknown', [...out]), 'remove', now))).toEqual(['unreachable:NoSchedule']);
  });
});

describe('tolerations', () => {
  const taint: Taint = { key: unreachableTaint, effect: 'NoExecute' };
  it('the shortest time of those that speak for a taint counts; one not tolerated ends it', () => {
    const exists = (key: string, tolerationSeconds?: number) => ({
      key,
      operator: 'Exists' as const,
      ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
    });
    const both: Taint[] = [taint, { key: 'other', effect: 'NoExecute' }];
    expect(stayingSeconds([taint], [])).toBe(0);
    expect(stayingSeconds([taint], [exists(unreachableTaint)])).toBeUndefined();
    expect(stayingSeconds(both, [exists(unreachableTaint, 300)])).toBe(0);
    expect(stayingSeconds(both, [exists(unreachableTaint, 300), exists('other', 20)])).toBe(20);
    expect(stayingSeconds(both, [exists(unreachableTaint, 300), exists('other')])).toBe(300);
    expect(stayingSeconds([taint], [exists(unreachableTaint, -5)])).toBe(0);
    expect(stayingSeconds([taint], [exists(unreachableTaint, 60), exists(unreachableTaint, 5)])).toBe(60);
  });
});
