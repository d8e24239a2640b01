import { describe, expect, it } from 'vitest';
import type { Plugin } from '../framework/plugin.js';
import { defaultPlugins } from '../profiles.js';
import { avoids, testNode, testPod } from './fixtures.js';
import { problemsOf } from './policy-test.js';

/** Puts everything on the first node, whatever is required. */
const lawless = (): Plugin[] => [{ name: 'NodeResourcesFit', score: (_pod, node) => (node.name === 'a' ? 100 : 0) }];

describe('problemsOf', () => {
  const taint = { key: 'only', value: 'x', effect: 'NoSchedule' } as const;
  const required = {
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In' as const, values: ['ssd'] }] }],
        },
      },
    },
  };
  const nodes = [testNode('a', { taints: [taint] }), testNode('b', { labels: { disk: 'ssd' } }), testNode('c')];
  const pods = [
    testPod('large', { requests: { cpu: '5' } }),
    testPod('picky', { spec: required }),
    testPod('alone', { labels: { app: 'x' }, spec: avoids({ app: 'x' }) }),
    testPod('next', { labels: { app: 'x' }, spec: avoids({ app: 'x' }) }),
  ];

  it('tells what a policy does not respect', () => {
    const problems = problemsOf(lawless, nodes, pods);
    expect(problems).toContain('a: 5000 of 4000 cpu');
    expect(problems).toContain('large: on a, whose taint only it does not tolerate');
    expect(problems).toContain('picky: on a, which its node selector or required node affinity excludes');
    expect(problems).toContain('alone: on a, beside next, which it must avoid');
    expect(problems).toContain('next: on a, beside alone, which it must avoid');
  });

  it('has nothing against the default plugins', () => {
    expect(problemsOf(defaultPlugins, nodes, pods)).toEqual([]);
  });

  it('tells when a policy answers the same question differently', () => {
    let calls = 0;
    const moody = (): Plugin[] => [
      ...defaultPlugins(),
      { name: 'Moody', weight: 1_000, score: (_pod, node) => (node.name === (calls++ < 20 ? 'b' : 'c') ? 100 : 0) },
    ];
    const many = Array.from({ length: 10 }, (_, i) => testPod(`p${i}`, { requests: { cpu: '10m' } }));
    expect(problemsOf(moody, nodes, many).some(each => each.includes('the second'))).toBe(true);
  });
});
