/**
 * ValidatingAdmissionPolicies: rules in CEL over what is written, bound to a part of the cluster, with parameters or without. Source and texts:
 * apiserver `admission/plugin/policy/validating` (v0.33).
 *
 * - Policies whose expressions do not compile are refused when they are written.
 * - What fails: `Deny` refuses (reason Invalid unless the rule has another), `Warn` warns, `Audit` leaves a note.
 * - An expression that cannot be evaluated refuses (failurePolicy Fail) or is passed over (Ignore).
 * - Expressions are checked against the kinds that they are about when the policy is written, and when these kinds change: type-check.ts.
 */
import {
  type admissionregistrationv1,
  codeOfReason,
  type DynamicObject,
  invalid,
  type KindRegistry,
  labelSelectorOf,
  StatusError,
  type StatusReason,
} from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from '../admission/contract.js';
import { refused } from '../admission/functions.js';
import type { Authorizer } from '../authorization/authorizer.js';
import { Budget } from '../cel/budget.js';
import { EvaluationError } from '../cel/expression.js';
import { celOf } from '../cel/values.js';
import type { ObjectBytes } from '../registry/contract.js';
import { allHold, compileConditions, requestEnvironment, requestVariables } from '../webhook/conditions.js';
import { matchesNamespace, matchesObject, namespaceOf, ruledKind } from '../webhook/match.js';
import { type CompiledPolicy, compilePolicy, type Policy } from './compiled-policy.js';
import { lazyVariables } from './policy-variables.js';

type Binding = admissionregistrationv1.ValidatingAdmissionPolicyBinding;
type Match = admissionregistrationv1.MatchResources;

const group = 'admissionregistration.k8s.io';
const policies = { group, plural: 'validatingadmissionpolicies' };
const bindings = { group, plural: 'validatingadmissionpolicybindings' };

const compiled = new WeakMap<ObjectBytes, CompiledPolicy>();

function policyOf(stored: ObjectBytes): CompiledPolicy {
  let policy = compiled.get(stored);
  if (policy === undefined) {
    policy = compilePolicy(stored.object() as unknown as Policy);
    compiled.set(stored, policy);
  }
  return policy;
}

/** What the expressions of policies can see. */
export interface PolicyOptions {
  /** To find the kinds of parameters and equivalent versions. */
  kinds?: KindRegistry;
  /** For the variable `authorizer`. Default: nobody may anything. */
  authorizer?: Authorizer;
}

/** Upstream's ValidatingAdmissionPolicy. A server without bindings pays a look at an empty list. */
export function validatingPolicies({ kinds, authorizer }: PolicyOptions = {}): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    validate(request, cluster) {
      if (request.kind.group === group) return checkExpressions(request);
      const bound = cluster.list(bindings, undefined, request.signal);
      if (!(bound instanceof Promise) && bound.length === 0) return;
      return judge(request, cluster);
    },
  };

  async function judge(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const bound = await cluster.list(bindings, undefined, request.signal);
    const refusals: StatusError[] = [];
    const audited: object[] = [];
    for (const stored of bound) {
      const binding = stored.object() as unknown as Binding;
      const of = cluster.peek(policies, { name: binding.spec.policyName ?? '' });
      if (of === undefined) continue;
      const policy = policyOf(of);
      const { matchConstraints } = policy.policy.spec;
      if (!(await isAbout(matchConstraints, request, cluster, true))) continue;
      if (!(await isAbout(binding.spec.matchResources, request, cluster, false))) continue;
      for (const failure of await failuresOf(policy, binding, request, cluster))
        act(failure, policy, binding, request, { refusals, audited });
    }
    if (audited.length > 0)
      request.annotate('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(audited));
    // The first in order speaks.
    if (refusals[0]) throw refusals[0];
  }

  async function isAbout(
    match: Match | undefined,
    request: AdmissionRequest,
    cluster: AdmissionCluster,
    needsRules: boolean,
  ): Promise<boolean> {
    if (match === undefined) return !needsRules;
    const equivalent = match.matchPolicy !== 'Exact';
    const rules = match.resourceRules ?? [];
    if ((needsRules || rules.length > 0) && ruledKind(rules, request, equivalent, kinds) === undefined) return false;
    if (ruledKind(match.excludeResourceRules, request, equivalent, kinds) !== undefined) return false;
    return (
      matchesObject(match.objectSelector, request) &&
      (await matchesNamespace(match.namespaceSelector, request, cluster))
    );
  }

  async function failuresOf(
    policy: CompiledPolicy,
    binding: Binding,
    request: AdmissionRequest,
    cluster: AdmissionCluster,
  ): Promise<Failure[]> {
    const { spec } = policy.policy;
    const tolerant = spec.failurePolicy === 'Ignore';
    if (policy.errors.length > 0) return tolerant ? [] : [{ message: policy.errors[0]!.message }];
    const parameters = await paramsOf(spec.paramKind, binding, request, cluster);
    if (typeof parameters === 'string') return tolerant ? [] : [{ message: parameters }];
    const namespace = await namespaceOf(request, cluster);
    const given = {
      ...requestVariables(request, authorizer),
      namespaceObject: namespace === undefined ? null : celOf(namespace),
    };
    return parameters.flatMap(params =>
      evaluate(policy, { ...given, params: params === undefined ? null : celOf(params) }, request, tolerant),
    );
  }

  /** One, none (undefined), or all that the binding selects; a text when that is a reason to refuse. */
  async function paramsOf(
    paramKind: admissionregistrationv1.ParamKind | undefined,
    { spec }: Binding,
    request: AdmissionRequest,
    cluster: AdmissionCluster,
  ): Promise<(Readonly<DynamicObject> | undefined)[] | string> {
    const { paramRef } = spec;
    if (!paramKind || !paramRef) return [undefined];
    const [groupOf, version] = paramKind.apiVersion?.includes('/')
      ? paramKind.apiVersion.split('/')
      : ['', paramKind.apiVersion];
    const kind = kinds?.get({ group: groupOf!, version: version ?? '', kind: paramKind.kind ?? '' });
    if (!kind)
      return `failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`;
    const namespace = kind.namespaced ? (paramRef.namespace ?? request.namespace) : undefined;
    if (kind.namespaced && !namespace)
      return 'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources';
    let found: Readonly<DynamicObject>[];
    if (paramRef.name) {
      const key = { name: paramRef.name, namespace };
      const stored = cluster.peek(kind, key) ?? (await cluster.read(kind, key, request.signal));
      found = stored ? [stored.object()] : [];
    } else {
      const selector = labelSelectorOf(paramRef.selector);
      const all = await cluster.list(kind, namespace, request.signal);
      found = all.map(each => each.object()).filter(each => selector.matches(each.metadata.labels ?? {}));
    }
    if (found.length > 0) return found;
    return paramRef.parameterNotFoundAction === 'Deny'
      ? 'no params found for policy binding with `Deny` parameterNotFoundAction'
      : [];
  }
}

interface Failure {
  readonly message: string;
  readonly reason?: string | undefined;
  /** Which of the validations; absent for what failed before them. */
  readonly expressionIndex?: number;
}

interface Outcome {
  readonly refusals: StatusError[];
  /** What the audit log is told, of all policies together. */
  readonly audited: object[];
}

function evaluate(
  policy: CompiledPolicy,
  given: Record<string, unknown>,
  request: AdmissionRequest,
  tolerant: boolean,
): Failure[] {
  const budget = new Budget();
  const failures: Failure[] = [];
  const failed = (text: string): void => {
    if (!tolerant) failures.push({ message: text });
  };
  try {
    if (!allHold(policy.conditions, given)) return [];
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    failed(error.message);
    return failures;
  }
  const variables = { ...given, variables: lazyVariables(policy.variables, given, budget) };
  for (const [expressionIndex, { source, expression, message }] of policy.validations.entries()) {
    try {
      if (expression.evaluate(variables, budget) === true) continue;
      let text = source.message?.trim() || `failed expression: ${source.expression.trim()}`;
      if (message) {
        try {
          const made = message.evaluate(variables, budget);
          if (typeof made === 'string' && made.trim() !== '' && !/[\n\r]/.test(made)) text = made.trim();
        } catch (error) {
          if (!(error instanceof EvaluationError)) throw error;
        }
      }
      failures.push({ message: text, reason: source.reason, expressionIndex });
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      if (!tolerant) {
        const why = `expression '${source.expression.trim()}' resulted in error: ${error.message}`;
        failures.push({ message: why, expressionIndex });
      }
      if (error.exceeded) return failures;
    }
  }
  for (const { key, expression } of policy.annotations) {
    try {
      const value = expression.evaluate(variables, budget);
      if (typeof value === 'string' && value !== '') request.annotate(`${policy.policy.metadata.name}/${key}`, value);
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      failed(`auditAnnotation '${key}' resulted in error: ${error.message}`);
    }
  }
  return failures;
}

function act(
  { message, reason, expressionIndex = 0 }: Failure,
  { policy }: CompiledPolicy,
  binding: Binding,
  request: AdmissionRequest,
  { refusals, audited }: Outcome,
): void {
  const place = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
  for (const action of binding.spec.validationActions ?? []) {
    if (action === 'Warn') request.warn(`Validation failed for ${place}: ${message}`);
    else if (action === 'Audit') {
      audited.push({
        message,
        policy: policy.metadata.name,
        binding: binding.metadata.name,
        expressionIndex,
        validationActions: binding.spec.validationActions,
      });
    } else if (action === 'Deny') {
      const as = reason || 'Invalid';
      const { message: text, details } = refused(request, `${place} denied request: ${message}`);
      refusals.push(
        new StatusError(as, text, {
          code: codeOfReason[as as StatusReason] ?? 422,
          details: { ...details, causes: [{ message }] as never },
        }),
      );
    }
  }
}

/** Expressions that do not compile are refused when they are written, here for policies and for the conditions of webhooks. */
function checkExpressions(request: AdmissionRequest): void {
  const { object, kind, subresource } = request;
  if (object === undefined || subresource !== undefined) return;
  if (kind.plural === policies.plural) {
    const { errors } = compilePolicy(object as unknown as Policy);
    if (errors.length > 0) throw invalid(kind, request.name, errors);
    return;
  }
  const webhooks = (object['webhooks'] ?? []) as admissionregistrationv1.ValidatingWebhook[];
  for (const [i, { matchConditions }] of webhooks.entries()) {
    for (const [j, condition] of (matchConditions ?? []).entries()) {
      try {
        compileConditions(requestEnvironment(), [condition]);
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        const field = `webhooks[${i}].matchConditions[${j}].expression`;
        const message = `Invalid value: ${JSON.stringify(condition.expression)}: ${text}`;
        throw invalid(kind, request.name, [{ field, type: 'FieldValueInvalid', message }]);
      }
    }
  }
}
