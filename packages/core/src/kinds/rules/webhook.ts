/**
 * Rules of admission webhooks and of ValidatingAdmissionPolicies. Whether an expression is one, its compiler says; here it has to
 * be there. Source: admissionregistration/validation (v0.33).
 */
import { dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { admissionregistrationv1 } from '../generated/types/index.js';
import type { Report } from './report.js';
import { checkLabelSelector } from './selector.js';

type Mutating = admissionregistrationv1.MutatingWebhook;
type Validating = admissionregistrationv1.ValidatingWebhook;
type Rule = admissionregistrationv1.RuleWithOperations;

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE'];
const scopes = ['*', 'Cluster', 'Namespaced'];
const failurePolicies = ['Fail', 'Ignore'];
const matchPolicies = ['Equivalent', 'Exact'];
const maxConditions = 64;

export function checkWebhooks(
  report: Report,
  {
    webhooks,
  }: admissionregistrationv1.MutatingWebhookConfiguration | admissionregistrationv1.ValidatingWebhookConfiguration,
): void {
  const names = new Set<string>();
  for (const [index, webhook] of (webhooks ?? []).entries()) {
    const field = `webhooks[${index}]`;
    checkWebhook(report, webhook, field);
    if (webhook.name && names.has(webhook.name)) report.duplicate(`${field}.name`, webhook.name);
    names.add(webhook.name);
  }
}

function checkWebhook(report: Report, webhook: Mutating | Validating, field: string): void {
  const { name, timeoutSeconds } = webhook;
  if (!name) {
    report.required(`${field}.name`);
  } else {
    const problem = dnsSubdomainProblem(name);
    if (problem) report.invalid(`${field}.name`, name, problem);
    else if (name.split('.').length < 3)
      report.invalid(`${field}.name`, name, 'should be a domain with at least three segments separated by dots');
  }
  for (const [at, rule] of (webhook.rules ?? []).entries()) checkRule(report, rule, `${field}.rules[${at}]`);
  if (webhook.failurePolicy) report.oneOf(`${field}.failurePolicy`, webhook.failurePolicy, failurePolicies);
  if (webhook.matchPolicy) report.oneOf(`${field}.matchPolicy`, webhook.matchPolicy, matchPolicies);
  if (!webhook.sideEffects) report.required(`${field}.sideEffects`, 'must specify one of None, NoneOnDryRun');
  else if (webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun')
    report.unsupported(`${field}.sideEffects`, webhook.sideEffects, ['None', 'NoneOnDryRun']);
  if (timeoutSeconds !== undefined && (timeoutSeconds < 1 || timeoutSeconds > 30))
    report.invalid(`${field}.timeoutSeconds`, timeoutSeconds, 'the timeout value must be between 1 and 30 seconds');
  checkLabelSelector(report, webhook.namespaceSelector, `${field}.namespaceSelector`);
  checkLabelSelector(report, webhook.objectSelector, `${field}.objectSelector`);
  if ('reinvocationPolicy' in webhook && webhook.reinvocationPolicy)
    report.oneOf(`${field}.reinvocationPolicy`, webhook.reinvocationPolicy, ['IfNeeded', 'Never']);
  checkClient(report, webhook.clientConfig ?? {}, `${field}.clientConfig`);
  const versions = webhook.admissionReviewVersions ?? [];
  if (versions.length === 0) report.required(`${field}.admissionReviewVersions`, 'must specify one of v1, v1beta1');
  else if (!versions.some(version => version === 'v1' || version === 'v1beta1'))
    report.invalid(`${field}.admissionReviewVersions`, versions, 'must include at least one of v1, v1beta1');
  checkConditions(report, webhook.matchConditions, `${field}.matchConditions`);
}

function checkClient(
  report: Report,
  { url, service }: admissionregistrationv1.WebhookClientConfig,
  field: string,
): void {
  if ((url === undefined) === (service === undefined)) {
    report.required(field, 'exactly one of url or service is required');
    return;
  }
  if (url !== undefined) checkUrl(report, url, `${field}.url`);
  if (!service) return;
  if (!service.name) report.required(`${field}.service.name`, 'service name is required');
  if (!service.namespace) report.required(`${field}.service.namespace`, 'service namespace is required');
  if (service.port !== undefined && (service.port < 1 || service.port > 65535))
    report.invalid(`${field}.service.port`, service.port, 'port is not valid: must be between 1 and 65535, inclusive');
  if (service.path !== undefined && service.path !== '' && !service.path.startsWith('/'))
    report.invalid(`${field}.service.path`, service.path, "must start with a '/'");
}

function checkUrl(report: Report, text: string, field: string): void {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    report.required(field, 'url must be a valid URL: desired format: https://host[/path]');
    return;
  }
  const form = 'desired format: https://host[/path]';
  if (url.protocol !== 'https:') report.invalid(field, text, `'https' is the only allowed URL scheme; ${form}`);
  if (url.host === '') report.invalid(field, text, `host must be specified; ${form}`);
  if (url.username || url.password)
    report.invalid(field, text, `user information is not permitted in the URL; ${form}`);
  if (url.hash) report.invalid(field, text, `fragments are not permitted in the URL; ${form}`);
  if (url.search) report.invalid(field, text, `query parameters are not permitted in the URL; ${form}`);
}

function checkRule(report: Report, rule: Rule, field: string): void {
  const given = rule.operations ?? [];
  if (given.length === 0) report.required(`${field}.operations`);
  if (given.length > 1 && given.includes('*'))
    report.invalid(`${field}.operations`, given, "if '*' is present, must not specify other operations");
  for (const [index, operation] of given.entries())
    if (!operations.includes(operation)) report.unsupported(`${field}.operations[${index}]`, operation, operations);
  for (const name of ['apiGroups', 'apiVersions'] as const) {
    const values = rule[name] ?? [];
    if (values.length === 0) report.required(`${field}.${name}`);
    if (values.length > 1 && values.includes('*'))
      report.invalid(
        `${field}.${name}`,
        values,
        `if '*' is present, must not specify other ${name === 'apiGroups' ? 'API groups' : 'API versions'}`,
      );
    if (name === 'apiVersions')
      for (const [index, each] of values.entries()) if (!each) report.required(`${field}.${name}[${index}]`);
  }
  const resources = rule.resources ?? [];
  if (resources.length === 0) report.required(`${field}.resources`);
  if (resources.includes('*/*') && resources.length > 1)
    report.invalid(`${field}.resources`, resources, "if '*/*' is present, must not specify other resources");
  if (rule.scope && !scopes.includes(rule.scope)) report.unsupported(`${field}.scope`, rule.scope, scopes);
}

function checkConditions(
  report: Report,
  conditions: readonly admissionregistrationv1.MatchCondition[] | undefined,
  field: string,
): void {
  if ((conditions?.length ?? 0) > maxConditions) report.tooMany(field, conditions!.length, maxConditions);
  const names = new Set<string>();
  for (const [index, { name, expression }] of (conditions ?? []).entries()) {
    const at = `${field}[${index}]`;
    if (!name) report.required(`${at}.name`);
    else report.form(`${at}.name`, name, qualifiedNameProblem(name));
    if (!expression?.trim()) report.required(`${at}.expression`);
    if (name && names.has(name)) report.duplicate(`${at}.name`, name);
    names.add(name);
  }
}

function checkMatch(
  report: Report,
  match: admissionregistrationv1.MatchResources,
  rulesRequired: boolean,
  field: string,
): void {
  if (match.matchPolicy) report.oneOf(`${field}.matchPolicy`, match.matchPolicy, matchPolicies);
  checkLabelSelector(report, match.namespaceSelector, `${field}.namespaceSelector`);
  checkLabelSelector(report, match.objectSelector, `${field}.objectSelector`);
  if (rulesRequired && !match.resourceRules?.length) report.required(`${field}.resourceRules`);
  for (const name of ['resourceRules', 'excludeResourceRules'] as const)
    for (const [index, rule] of (match[name] ?? []).entries()) checkRule(report, rule, `${field}.${name}[${index}]`);
}

export function checkAdmissionPolicy(
  report: Report,
  { spec }: admissionregistrationv1.ValidatingAdmissionPolicy,
): void {
  if (!spec?.failurePolicy) report.required('spec.failurePolicy');
  else if (!failurePolicies.includes(spec.failurePolicy))
    report.unsupported('spec.failurePolicy', spec.failurePolicy, failurePolicies);
  if (spec?.paramKind) {
    if (!spec.paramKind.apiVersion) report.required('spec.paramKind.apiVersion');
    if (!spec.paramKind.kind) report.required('spec.paramKind.kind');
  }
  if (!spec?.matchConstraints) report.required('spec.matchConstraints');
  else checkMatch(report, spec.matchConstraints, true, 'spec.matchConstraints');
  checkConditions(report, spec?.matchConditions, 'spec.matchConditions');
  if (!spec?.validations?.length && !spec?.auditAnnotations?.length)
    report.required('spec.validations', 'validations or auditAnnotations must be non-empty');
  for (const [index, { expression }] of (spec?.validations ?? []).entries())
    if (!expression?.trim()) report.required(`spec.validations[${index}].expression`, 'expression is not specified');
  for (const [index, { name, expression }] of (spec?.variables ?? []).entries()) {
    if (!name) report.required(`spec.variables[${index}].name`, 'name is not specified');
    if (!expression?.trim()) report.required(`spec.variables[${index}].expression`, 'expression is not specified');
  }
}

const actions = ['Audit', 'Deny', 'Warn'];

export function checkAdmissionPolicyBinding(
  report: Report,
  { spec }: admissionregistrationv1.ValidatingAdmissionPolicyBinding,
): void {
  if (!spec?.policyName) report.required('spec.policyName');
  else report.form('spec.policyName', spec.policyName, dnsSubdomainProblem(spec.policyName));
  if (spec?.matchResources) checkMatch(report, spec.matchResources, false, 'spec.matchResources');
  const given = spec?.validationActions ?? [];
  if (given.length === 0) report.required('spec.validationActions');
  for (const [index, action] of given.entries()) {
    const field = `spec.validationActions[${index}]`;
    if (!actions.includes(action)) report.unsupported(field, action, actions);
    if (given.indexOf(action) !== index) report.duplicate(field, action);
  }
  if (given.includes('Deny') && given.includes('Warn'))
    report.invalid(
      'spec.validationActions',
      given,
      'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    );
  const ref = spec?.paramRef;
  if (!ref) return;
  if (ref.name && ref.selector) report.forbidden('spec.paramRef.name', 'name and selector are mutually exclusive');
  if (!ref.name && !ref.selector) report.required('spec.paramRef', 'one of name or selector must be specified');
  if (!ref.parameterNotFoundAction) report.required('spec.paramRef.parameterNotFoundAction');
}
