import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineKind } from './define-kind.js';
import { builtinKinds } from './generated/kinds.js';
import { openApiV3 } from './openapi.js';
import { kindRegistry } from './registry.js';

const registry = kindRegistry(builtinKinds);
const core: any = openApiV3(registry, { group: '', version: 'v1' });
const apps: any = openApiV3(registry, { group: 'apps', version: 'v1' });
const groupVersions = registry.groups.flatMap(({ group, versions }) => versions.map(version => ({ group, version })));

/** Every `$ref` in a document. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) =>
    key === '$ref' && typeof each === 'string' ? [each] : references(each),
  );
}

describe.each(groupVersions)('$group/$version', groupVersion => {
  const document: any = openApiV3(registry, groupVersion);
  const kinds = registry.within(groupVersion.group, groupVersion.version);

  test('every reference leads somewhere', () => {
    for (const ref of new Set(references(document))) {
      expect(document.components.schemas, ref).toHaveProperty([ref.replace('#/components/schemas/', '')]);
    }
  });

  test('kubectl finds the fieldValidation parameter on a patch of every kind that can be patched', () => {
    for (const { group, version, kind } of kinds.filter(each => each.verbs.includes('patch'))) {
      const patches = Object.values<any>(document.paths)
        .map(path => path.patch)
        .filter(Boolean);
      const found = patches.find(
        patch => JSON.stringify(patch['x-kubernetes-group-version-kind']) === JSON.stringify({ group, kind, version }),
      );
      expect(found?.parameters, kind).toContainEqual(expect.objectContaining({ name: 'fieldValidation', in: 'query' }));
      expect(Object.keys(found.requestBody.content)).toContain('application/strategic-merge-patch+json');
    }
  });

  test('every kind has a schema that bears its identity', () => {
    for (const { group, version, kind } of kinds) {
      const found = Object.values<any>(document.components.schemas).filter(schema =>
        (schema['x-kubernetes-group-version-kind'] ?? []).some(
          (gvk: any) => gvk.kind === kind && gvk.group === group && gvk.version === version,
        ),
      );
      expect(found, kind).toHaveLength(1);
    }
  });

  test('the same kinds give the same text', () => {
    expect(JSON.stringify(openApiV3(kindRegistry(builtinKinds), groupVersion))).toBe(JSON.stringify(document));
  });
});

test('names are those of Kubernetes', () => {
  expect(Object.keys(apps.components.schemas)).toEqual(
    expect.arrayContaining([
      'io.k8s.api.apps.v1.Deployment',
      'io.k8s.api.apps.v1.DeploymentList',
      'io.k8s.api.core.v1.PodTemplateSpec',
      'io.k8s.api.autoscaling.v1.Scale',
      'io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector',
      'io.k8s.apimachinery.pkg.apis.meta.v1.Time',
      'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
      'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
    ]),
  );
});

test('what clients merge by', () => {
  const { containers, volumes, tolerations, imagePullSecrets } =
    core.components.schemas['io.k8s.api.core.v1.PodSpec'].properties;
  expect(containers).toMatchObject({
    type: 'array',
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
  });
  expect(volumes).toMatchObject({ 'x-kubernetes-patch-strategy': 'merge,retainKeys' });
  expect(tolerations).toMatchObject({ 'x-kubernetes-list-type': 'atomic' });
  expect(imagePullSecrets).toMatchObject({ 'x-kubernetes-patch-merge-key': 'name' });
  expect(core.components.schemas['io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector']).toMatchObject({
    'x-kubernetes-map-type': 'atomic',
  });
  expect(core.components.schemas['io.k8s.api.core.v1.ContainerPort']).toMatchObject({
    required: ['containerPort'],
    properties: { protocol: { type: 'string', default: 'TCP', enum: ['TCP', 'UDP', 'SCTP'] } },
  });
});

test('paths, their verbs and their parameters', () => {
  const pod = core.paths['/api/v1/namespaces/{namespace}/pods/{name}'];
  expect(Object.keys(pod).sort()).toEqual(['delete', 'get', 'parameters', 'patch', 'put']);
  expect(pod.parameters.map((each: any) => each.name)).toEqual(['namespace', 'name']);
  expect(Object.keys(core.paths['/api/v1/pods'])).toEqual(['get']);
  expect(Object.keys(core.paths['/api/v1/nodes']).sort()).toEqual(['delete', 'get', 'parameters', 'post']);
  expect(
    core.paths['/api/v1/namespaces/{namespace}/pods/{name}/binding'].post['x-kubernetes-group-version-kind'].kind,
  ).toBe('Binding');
  expect(
    core.paths['/api/v1/namespaces/{namespace}/pods/{name}/eviction'].post['x-kubernetes-group-version-kind'],
  ).toEqual({ group: 'policy', kind: 'Eviction', version: 'v1' });
  expect(
    apps.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale'].patch['x-kubernetes-group-version-kind']
      .kind,
  ).toBe('Scale');
  expect(core.paths).not.toHaveProperty(['/api/v1/namespaces/{namespace}/pods/{name}/exec']);
});

test('patch types are what the server says', () => {
  const document: any = openApiV3(
    registry,
    { group: 'apps', version: 'v1' },
    { patchTypes: () => ['application/apply-patch+yaml'], title: 't', version: '3' },
  );
  expect(
    Object.keys(document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}'].patch.requestBody.content),
  ).toEqual(['application/apply-patch+yaml']);
  expect(document.info).toEqual({ title: 't', version: '3' });
});

test("a kind of one's own", () => {
  const Widget = defineKind({
    group: 'example.com',
    version: 'v1',
    kind: 'Widget',
    spec: z.object({
      size: z.int32().describe('How large.'),
      colour: z.enum(['red', 'green']).default('red'),
      parts: z.array(z.object({ name: z.string() })).meta({ listType: 'map', listMapKeys: ['name'] }),
      note: z.string().nullable(),
    }),
  });
  const { components, paths }: any = openApiV3(registry.with(Widget), { group: 'example.com', version: 'v1' });
  expect(Object.keys(paths)).toContain('/apis/example.com/v1/namespaces/{namespace}/widgets/{name}');
  expect(components.schemas['com.example.v1.WidgetSpec']).toEqual({
    type: 'object',
    required: ['note', 'parts', 'size'],
    properties: {
      size: { type: 'integer', format: 'int32', description: 'How large.' },
      colour: { type: 'string', enum: ['red', 'green'], default: 'red' },
      note: { type: 'string', nullable: true },
      parts: {
        type: 'array',
        items: { default: {}, allOf: [{ $ref: '#/components/schemas/com.example.v1.WidgetSpecPartsItem' }] },
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        'x-kubernetes-patch-merge-key': 'name',
        'x-kubernetes-patch-strategy': 'merge',
      },
    },
  });
});
