/** What a profile refuses, by field; and what a plugin's wrong answer is called. */
import { describe, expect, it } from 'vitest';
import { resourceFit } from '../plugins/resource-fit.js';
import { roundRobin } from '../plugins/round-robin.js';
import { schedule } from '../schedule.js';
import { snapshotOf } from '../snapshot/snapshot.js';
import { testNode, testPod } from '../testing/fixtures.js';
import type { Plugin } from './plugin.js';
import { profile } from './profile.js';

const of = (...plugins: unknown[]) => profile({ plugins: plugins as Plugin[] });
const score = () => 1;

describe('profile', () => {
  it.each<[string, () => unknown, string]>([
    ['no list', () => profile({} as never), 'plugins: give a list of plugins'],
    ['null', () => of(null), 'plugins[0]: null, which is no plugin'],
    ['a factory', () => of(resourceFit(), roundRobin), 'plugins[1]: a function, which is no plugin: call it'],
    ['no name', () => of({ score }), 'plugins[0]: a plugin needs a name'],
    ['a point', () => of({ name: 'X', filter: 'yes' }), 'plugins[0]: plugin "X": filter is no function'],
    [
      'a weight',
      () => of({ name: 'X', weight: -1, score }),
      'plugin "X": weight is -1; a weight is a number, 0 or more',
    ],
    ['a text as weight', () => of({ name: 'X', weight: '3', score }), 'plugin "X": weight is 3; a weight is a number'],
    ['no list of events', () => of({ name: 'X', events: 'PodAdd' }), 'plugin "X": events is no list'],
    [
      'an event',
      () => of({ name: 'X', events: ['PodDeleted'] }),
      'plugin "X": events[0] is "PodDeleted"; there are Node',
    ],
    ['a hint', () => of({ name: 'X', events: [{ type: 'PodAdd' }] }), 'plugin "X": events[0].hint is no function'],
    ['the same twice', () => of(resourceFit(), resourceFit()), 'two plugins are named "NodeResourcesFit"'],
    [
      'a percentage',
      () => profile({ plugins: [], percentageOfNodesToScore: 500 }),
      'percentageOfNodesToScore: 500; give a percentage from 0 (as in kube-scheduler) to 100',
    ],
    ['one that comes later', () => of().add({ name: '' } as Plugin), 'a plugin needs a name'],
  ])('refuses %s', (_what, make, message) => {
    expect(make).toThrow(message);
  });

  it.each([true, 'closed', { reasons: 'closed' }, { reasons: [] }])('names the plugin that refuses with %j', answer => {
    const rules = of({ name: 'X', filter: () => answer });
    expect(() => schedule(testPod('p'), snapshotOf([testNode('n')]), rules)).toThrow(
      /^plugin "X" refused with .*; a refusal is \{ reasons: \["why"\] \}$/,
    );
  });
});
