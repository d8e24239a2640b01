import { expect, it } from 'vitest';
import { definitionErrors } from './definition-rules.js';
import { statusOf } from './definition-status.js';

const definition = (group: string, annotation?: string): any => ({
  metadata: {
    name: `widgets.${group}`,
    ...(annotation === undefined ? {} : { annotations: { 'api-approved.kubernetes.io': annotation } }),
  },
  spec: {
    group,
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
  },
  status: { storedVersions: ['v1'] },
});
const condition = (of: any) =>
  statusOf(of, { resources: new Set(), kinds: new Set() }, 0)?.conditions?.find(
    each => each.type === 'KubernetesAPIApprovalPolicyConformant',
  );

it.each([
  ['https://github.com/kubernetes/kubernetes/pull/1', 'True', 'ApprovedAnnotation'],
  ['unapproved, an experiment', 'False', 'UnapprovedAnnotation'],
])('%s is a word about approval', (annotation, status, reason) => {
  const of = definition('things.k8s.io', annotation);
  expect(definitionErrors(of)).toEqual([]);
  expect(condition(of)).toMatchObject({ status, reason });
});

it.each([
  [undefined, 'Required value', 'MissingAnnotation'],
  ['later', 'Invalid value', 'InvalidAnnotation'],
])('%s is none', (annotation, problem, reason) => {
  const of = definition('things.k8s.io', annotation);
  expect(definitionErrors(of)).toMatchObject([{ message: expect.stringContaining(problem) }]);
  // One that is older than the rule stays, and says so.
  expect(definitionErrors(of, of)).toEqual([]);
  expect(condition(of)).toMatchObject({ status: 'False', reason });
});

it('other groups need none', () => {
  expect(definitionErrors(definition('example.com'))).toEqual([]);
  expect(condition(definition('example.com', 'later'))).toBeUndefined();
});
