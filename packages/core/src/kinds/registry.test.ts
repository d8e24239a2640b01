import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  AutoscalingV1HorizontalPodAutoscaler,
  builtinKinds,
  Deployment,
  Event,
  EventsV1Event,
  HorizontalPodAutoscaler,
  Node,
  Pod,
} from './generated/kinds.js';
import type { Kind } from './kind.js';
import { compareVersions, kindRegistry } from './registry.js';

const facts: { groups: { group: string; versions: string[] }[]; kinds: Record<string, any>[] } = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../data/kubernetes-types.json', import.meta.url)), 'utf8'),
);
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
    ['hpa.v1.autoscaling', AutoscalingV1HorizontalPodAutoscaler],
    ['events.events.k8s.io', EventsV1Event],
    ['nodes', Node],
    ['deployments.v2.apps', undefined],
    ['deployments.v1beta1.apps', undefined],
    ['pods.apps', undefined],
    ['', undefined],
    ['nonsense', undefined],
  ])('%s', (name, kind) => expect(registry.resolve(name)).toBe(kind));

  test('the first in discovery order wins, and a resource before a short name', () => {
    const more = registry.with(fake('a.example.com', 'v1', 'Thing', { shortNames: ['pods', 'ev', 'th'] }));
    expect(more.resolve('events')).toBe(Event);
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
  // Of the built-in groups the facts have the order; others follow by name.
  expect(more.groups.map(({ group }) => group)).toEqual([
    ...facts.groups.map(({ group }) => group),
    'a.example.com',
    'z.example.com',
  ]);
  for (const { group, versions } of facts.groups) {
    expect(registry.groups.find(each => each.group === group)?.versions).toEqual(versions);
  }
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
  expect(registry.within('apps', 'v1').map(kind => kind.plural)).toEqual([
    'controllerrevisions',
    'daemonsets',
    'deployments',
    'replicasets',
    'statefulsets',
  ]);
  // The order in which `kubectl get all` prints.
  expect(registry.inCategory('all').map(kind => `${kind.plural}.${kind.version}`)).toEqual([
    'pods.v1',
    'replicationcontrollers.v1',
    'services.v1',
    'daemonsets.v1',
    'deployments.v1',
    'replicasets.v1',
    'statefulsets.v1',
    'horizontalpodautoscalers.v2',
    'horizontalpodautoscalers.v1',
    'cronjobs.v1',
    'jobs.v1',
  ]);
});

test('every kind of the facts is served under its names, with its verbs and subresources', () => {
  for (const fact of facts.kinds) {
    const kind = registry.get(fact as Kind)!;
    const { group, version, plural, singular, namespaced, shortNames, categories, verbs, subresources } = kind;
    const { type: _type, listKind: _listKind, subresources: theirs, ...rest } = fact;
    expect({ group, version, kind: kind.kind, plural, singular, namespaced, shortNames, categories, verbs }).toEqual(
      rest,
    );
    expect(subresources).toEqual(
      theirs.map(({ name, group, version, kind, verbs }: any) => ({ name, group, version, kind, verbs })),
    );
  }
  expect(registry.kinds).toHaveLength(facts.kinds.length);
});

test('what is never stored cannot be watched or deleted', () => {
  const virtual = registry.kinds.filter(kind => kind.virtual);
  expect(virtual.map(kind => kind.kind)).toEqual([
    'Binding',
    'ComponentStatus',
    'SelfSubjectReview',
    'TokenReview',
    'SelfSubjectReview',
    'LocalSubjectAccessReview',
    'SelfSubjectAccessReview',
    'SelfSubjectRulesReview',
    'SubjectAccessReview',
    'NodeMetrics',
    'PodMetrics',
  ]);
  for (const { verbs } of virtual) expect(verbs).not.toContain('watch');
  // Reviews are asked, not listed.
  for (const kind of virtual) expect(kind.verbs.includes('list')).toBe(/Metrics|Component/.test(kind.kind));
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
