import { describe, expect, test } from 'vitest';
import {
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
} from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const metadata = { name: 'x' };
const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] };

describe('webhooks', () => {
  const webhook = {
    name: 'a.example.com',
    clientConfig: { url: 'https://example.com/hook' },
    sideEffects: 'None',
    admissionReviewVersions: ['v1'],
    rules: [rule],
  };
  const of = (more: object): string[] =>
    faults(ValidatingWebhookConfiguration, { metadata, webhooks: [{ ...webhook, ...more }] });
  const url = (text: string) => ({ clientConfig: { url: text } });
  const at = 'webhooks[0]';
  test.each<[object, string[]]>([
    [{}, []],
    [{ clientConfig: { service: { name: 's', namespace: 'n', path: '/p' } } }, []],
    [{ name: '' }, [`${at}.name: Required value`]],
    [
      { name: 'plain' },
      [`${at}.name: Invalid value: "plain": should be a domain with at least three segments separated by dots`],
    ],
    [{ clientConfig: {} }, [`${at}.clientConfig: Required value: exactly one of url or service is required`]],
    [
      { clientConfig: { service: { name: '', namespace: '' } } },
      [
        `${at}.clientConfig.service.name: Required value: service name is required`,
        `${at}.clientConfig.service.namespace: Required value: service namespace is required`,
      ],
    ],
    [
      url('http://example.com'),
      [
        `${at}.clientConfig.url: Invalid value: "http://example.com": 'https' is the only allowed URL scheme; desired format: https://host[/path]`,
      ],
    ],
    [
      url('https://user@example.com?a=b'),
      [
        expect.stringContaining('user information is not permitted in the URL'),
        expect.stringContaining('query parameters are not permitted in the URL'),
      ],
    ],
    [{ sideEffects: undefined }, [`${at}.sideEffects: Required value: must specify one of None, NoneOnDryRun`]],
    [
      { sideEffects: 'Some' },
      [`${at}.sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"`],
    ],
    [
      { timeoutSeconds: 31 },
      [`${at}.timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds`],
    ],
    [
      { admissionReviewVersions: [] },
      [`${at}.admissionReviewVersions: Required value: must specify one of v1, v1beta1`],
    ],
    [
      { admissionReviewVersions: ['v9'] },
      [`${at}.admissionReviewVersions: Invalid value: ["v9"]: must include at least one of v1, v1beta1`],
    ],
    [
      { rules: [{}] },
      [
        `${at}.rules[0].operations: Required value`,
        `${at}.rules[0].apiGroups: Required value`,
        `${at}.rules[0].apiVersions: Required value`,
        `${at}.rules[0].resources: Required value`,
      ],
    ],
    [
      { rules: [{ ...rule, operations: ['*', 'CREATE'] }] },
      [
        `${at}.rules[0].operations: Invalid value: ["*","CREATE"]: if '*' is present, must not specify other operations`,
      ],
    ],
    [
      {
        matchConditions: [
          { name: 'a', expression: '' },
          { name: 'a', expression: 'true' },
        ],
      },
      [`${at}.matchConditions[0].expression: Required value`, `${at}.matchConditions[1].name: Duplicate value: "a"`],
    ],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
  test('names are used once; mutating ones may be called again', () => {
    expect(faults(MutatingWebhookConfiguration, { metadata, webhooks: [webhook, webhook] })).toEqual([
      'webhooks[1].name: Duplicate value: "a.example.com"',
    ]);
    const odd = [{ ...webhook, reinvocationPolicy: 'Always' }];
    expect(faults(MutatingWebhookConfiguration, { metadata, webhooks: odd })).toEqual([
      expect.stringContaining('webhooks[0].reinvocationPolicy: Unsupported value: "Always"'),
    ]);
  });
});

describe('admission policies', () => {
  const base = { matchConstraints: { resourceRules: [rule] }, validations: [{ expression: 'true' }] };
  const of = (more: object): string[] => faults(ValidatingAdmissionPolicy, { metadata, spec: { ...base, ...more } });
  test.each<[object, string[]]>([
    [{}, []],
    [{ validations: [] }, ['spec.validations: Required value: validations or auditAnnotations must be non-empty']],
    [
      { validations: [{ expression: ' ' }] },
      ['spec.validations[0].expression: Required value: expression is not specified'],
    ],
    [{ matchConstraints: undefined }, ['spec.matchConstraints: Required value']],
    [{ matchConstraints: {} }, ['spec.matchConstraints.resourceRules: Required value']],
    [{ paramKind: {} }, ['spec.paramKind.apiVersion: Required value', 'spec.paramKind.kind: Required value']],
    [
      { failurePolicy: 'Shrug' },
      ['spec.failurePolicy: Unsupported value: "Shrug": supported values: "Fail", "Ignore"'],
    ],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
});

describe('bindings of admission policies', () => {
  const of = (more: object): string[] =>
    faults(ValidatingAdmissionPolicyBinding, {
      metadata,
      spec: { policyName: 'p', validationActions: ['Deny'], ...more },
    });
  test.each<[object, string[]]>([
    [{}, []],
    [{ policyName: '' }, ['spec.policyName: Required value']],
    [{ validationActions: [] }, ['spec.validationActions: Required value']],
    [{ validationActions: ['Deny', 'Deny'] }, ['spec.validationActions[1]: Duplicate value: "Deny"']],
    [
      { validationActions: ['Deny', 'Warn'] },
      [
        expect.stringContaining(
          'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn',
        ),
      ],
    ],
    [
      { paramRef: { parameterNotFoundAction: 'Deny' } },
      ['spec.paramRef: Required value: one of name or selector must be specified'],
    ],
    [{ paramRef: { name: 'n' } }, ['spec.paramRef.parameterNotFoundAction: Required value']],
  ])('%j', (more, expected) => expect(of(more)).toEqual(expected));
});
