/** The policy without server or clock, and its comparison with the default ones. */
import { readFileSync } from 'node:fs';
import { defaultPlugins, explanationOf } from '@orbitkit/scheduler';
import { parseScenario, simulate } from '@orbitkit/scheduler/simulator';
import { boundTo, policyTest, problemsOf, testNode, testPod } from '@orbitkit/scheduler/testing';
import { expect, it } from 'vitest';
import roomForServices from './policy.js';

const nodes = ['a', 'b'].map(name => testNode(name, { allocatable: { cpu: '10' } }));
const batch = (name: string) => testPod(name, { labels: { tier: 'batch' }, requests: { cpu: '3' } });
const service = (name: string) => testPod(name, { requests: { cpu: '1' } });
const plugins = () => [...defaultPlugins(), roomForServices()];

it('packs batch, up to four fifths of a node; services go where it is quiet', () => {
  const test = policyTest({ plugins: plugins(), nodes, pods: [boundTo(service('first'), 'b')] });
  expect(test.trace(['b1', 'b2', 'b3', 'b4', 'b5'].map(batch))).toEqual(['b', 'b', 'a', 'a', 'Pending']);
  expect(test.trace(['s1', 's2', 's3'].map(service))).toEqual(['a', 'a', 'b']);
});

it('says why', () => {
  const test = policyTest({ plugins: plugins(), nodes, pods: ['a', 'b'].map(node => boundTo(batch(node), node)) });
  const large = testPod('large', { labels: { tier: 'batch' }, requests: { cpu: '6' } });
  expect(explanationOf(test.decide(large)).nodes).toEqual(
    ['a', 'b'].map(node => ({
      node,
      status: 'Unschedulable',
      plugin: 'RoomForServices',
      reasons: ['batch would take the last 20 % of cpu'],
    })),
  );
});

it('never overcommits, and answers the same again', () => {
  const pods = Array.from({ length: 40 }, (_, i) => (i % 3 ? batch(`b${i}`) : service(`s${i}`)));
  expect(problemsOf(plugins, nodes, pods)).toEqual([]);
});

it('lets services wait less than the default does, in the scenario beside it', async () => {
  const scenario = parseScenario(readFileSync(new URL('../scenario.yaml', import.meta.url), 'utf8'));
  const report = await simulate({
    ...scenario,
    policies: [...scenario.policies, { name: 'RoomForServices', plugins }],
  });
  const [usual, own] = report.policies.map(({ fairness }) => fairness.groups['services']!.meanWaiting);
  expect(own).toBeLessThan(usual! / 2);
});
