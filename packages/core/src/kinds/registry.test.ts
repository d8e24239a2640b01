import { describe, expect, test } from 'vitest';
import { builtinKinds, Deployment, Event, HorizontalPodAutoscaler, Pod } from './generated/kinds.js';
import type { Kind } from './kind.js';
import { compareVersions, kindRegistry } from './registry.js';

const registry = kindRegistry(builtinKinds);
const fake = (group: string, version: string, kind: string, more: Partial<Kind> = {}): Kind<any> => ({
  ...Pod,
  group,
  version,
  kind,
  plural: `${kind.toLowerCase()}s`,
  singular: kind.toLowerCase(),
  shortNames: [],
  categories: [],
  columns: [],
  schema: Pod.schema,
  ...more,
});

test('by identity and by path', () => {
  expect(registry.get({ group: 'apps', version: 'v1', kind: 'Deployment' })).toBe(Deployment);
  expect(registry.get({ group: '', version: 'v1', kind: 'Deployment' })).toBeUndefined();
  expect(registry.byResource('', 'v1', 'pods')).toBe(Pod);
  expect(registry.byResource('', 'v1', 'pod')).toBeUndefined();
});

describe('by what people type', () => {
  test.each<[string, Kind<any> | undefined]>([
    ['pods', Pod],
    ['pod', Pod],
    ['Pod', Pod],
    ['po', Pod],
    ['PODS', Pod],
    ['pods.v1.', Pod],
    ['po.v1.', Pod],
    ['deploy', Deployment],
    ['deployments.apps', Deployment],
    ['deployment.v1.apps', Deployment],
    ['deploy.v1.apps', Deployment],
    ['hpa', HorizontalPodAutoscaler],
    ['hpa.v2.autoscaling', HorizontalPodAutoscaler],
    ['hpa.v1.autoscaling', undefined],
    ['deployments.v1beta1.apps', undefined],
    ['pods.apps', undefined],
    ['', undefined],
    ['nonsense', undefined],
  ])('%s', (name, kind) => expect(registry.resolve(name)).toBe(kind));

  test('the first in discovery order wins, and a resource before a short name', () => {
    const events = fake('events.k8s.io', 'v1', 'Event');
    const more = registry.with(fake('a.example.com', 'v1', 'Thing', { shortNames: ['pods', 'ev', 'th'] }), events);
    expect(more.resolve('events')).toBe(Event);
    expect(more.resolve('events.events.k8s.io')).toBe(events);
    expect(more.resolve('pods')).toBe(Pod);
    expect(more.resolve('ev')).toBe(Event);
    expect(more.resolve('th')?.kind).toBe('Thing');
  });
});

test('groups and versions in discovery order', () => {
  const more = registry.with(
    fake('z.example.com', 'v1', 'Z'),
    fake('a.example.com', 'v1alpha1', 'A'),
    fake('a.example.com', 'v1', 'A'),
    fake('a.example.com', 'v2beta1', 'A'),
  );
  expect(more.groups.map(({ group }) => group)).toEqual([
    '',
    'apps',
    'autoscaling',
    'coordination.k8s.io',
    'discovery.k8s.io',
    'a.example.com',
    'z.example.com',
  ]);
  expect(more.groups.find(({ group }) => group === 'a.example.com')!.versions).toEqual(['v1', 'v2beta1', 'v1alpha1']);
  expect(more.resolve('a')?.version).toBe('v1');
  expect(['v1alpha2', 'v10', 'foo', 'v2', 'v1beta1', 'v11beta2', 'v1beta2', 'bar'].sort(compareVersions)).toEqual([
    'v10',
    'v2',
    'v11beta2',
    'v1beta2',
    'v1beta1',
    'v1alpha2',
    'bar',
    'foo',
  ]);
});

test('of a group version, of a category', () => {
  expect(registry.within('apps', 'v1').map(kind => kind.kind)).toEqual(['ReplicaSet', 'Deployment']);
  expect(registry.inCategory('all').map(kind => kind.kind)).toEqual([
    'Pod',
    'Service',
    'ReplicaSet',
    'Deployment',
    'HorizontalPodAutoscaler',
  ]);
});

describe('kinds join and leave', () => {
  test('listeners hear of it; others are not touched', () => {
    const live = kindRegistry(builtinKinds);
    const other = live.with();
    const heard: number[] = [];
    const stop = live.onChange(() => heard.push(live.kinds.length));
    const thing = fake('example.com', 'v1', 'Thing');
    live.add(thing);
    expect(live.resolve('things')).toBe(thing);
    expect(live.get(thing)).toBe(thing);
    expect(other.resolve('things')).toBeUndefined();
    expect(live.remove(thing)).toBe(true);
    expect(live.remove(thing)).toBe(false);
    expect(live.resolve('things')).toBeUndefined();
    expect(live.byResource('example.com', 'v1', 'things')).toBeUndefined();
    stop();
    live.add(thing);
    expect(heard).toEqual([builtinKinds.length + 1, builtinKinds.length]);
  });

  test('an identity and a path are given once', () => {
    const live = kindRegistry(builtinKinds);
    expect(() => live.add(Pod)).toThrow('/v1/Pod is in the registry already');
    expect(() => live.add(fake('', 'v1', 'Pea', { plural: 'pods' }))).toThrow('have the same plural "pods"');
    expect(live.kinds).toHaveLength(builtinKinds.length);
  });
});
