/**
 * matchConditions: expressions in CEL, all of which must hold for a webhook or policy to be about a request; compiled once. One that is false
 * decides, whatever failed beside it.
 */
import type { admissionregistrationv1, DynamicObject } from '@orbitkit/core';
import type { AdmissionRequest } from '../admission/contract.js';
import type { Authorizer } from '../authorization/authorizer.js';
import { Budget, conditionsBudget } from '../cel/budget.js';
import { celEnvironment } from '../cel/environment.js';
import { type CelEnvironment, compile, EvaluationError, type Expression } from '../cel/expression.js';
import {
  authorizerType,
  RequestAuthorizer,
  requestResourceOf,
  resourceCheckType,
} from '../cel/functions/authorizer.js';
import { celOf } from '../cel/values.js';
import { requestOf } from './admission-review.js';

export interface NamedExpression {
  readonly name: string;
  readonly expression: Expression;
}

/** `object`, `oldObject`, `request`, `authorizer` and `authorizer.requestResource`, as conditions and policies see them. */
export function requestEnvironment(): CelEnvironment {
  return withRequest(celEnvironment(), 'dyn');
}

/** The same and what policies have beside it, with the types of objects and parameters told: for checking, not for evaluating. */
export function typedEnvironment(environment: CelEnvironment, object: string, params: string): CelEnvironment {
  return withPolicy(withRequest(environment, object), params);
}

/** What policies have beside the request and their own variables. */
export function withPolicy(environment: CelEnvironment, params = 'dyn'): CelEnvironment {
  return environment.registerVariable('params', params).registerVariable('namespaceObject', 'dyn');
}

function withRequest(environment: CelEnvironment, object: string): CelEnvironment {
  return environment
    .registerVariable('object', object)
    .registerVariable('oldObject', object)
    .registerVariable('request', 'dyn')
    .registerVariable('authorizer', authorizerType)
    .registerVariable(requestResource, resourceCheckType);
}

/** The engine knows no names with a dot: `authorizer.requestResource` is written so before it is read. */
const requestResource = 'authorizer_requestResource';

/** The text of an expression as the engine reads it; columns of its errors stay right, for both names are of one length. */
export const readable = (expression: string): string =>
  expression.trim().replace(/\bauthorizer\s*\.\s*requestResource\b/g, requestResource);

/** @throws CompileError */
export function compileConditions(
  environment: CelEnvironment,
  conditions: readonly admissionregistrationv1.MatchCondition[] | undefined,
): NamedExpression[] {
  return (conditions ?? []).map(({ name, expression }) => ({
    name,
    expression: compile(environment, readable(expression), ['bool']),
  }));
}

/** What an expression hears without an authorizer: nobody has an opinion. */
const nobody: Authorizer = { authorize: () => ({ decision: 'noOpinion', reason: 'this server has no authorizer' }) };

export function requestVariables(request: AdmissionRequest, authorizer: Authorizer = nobody): Record<string, unknown> {
  const { object: _object, oldObject: _oldObject, ...rest } = requestOf(request, request.kind, '');
  const value = (object: Readonly<DynamicObject> | undefined) => (object === undefined ? null : celOf(object));
  const asked = new RequestAuthorizer(authorizer, request.user);
  const { kind, namespace, subresource, name } = request;
  return {
    object: value(request.object),
    oldObject: value(request.oldObject),
    request: celOf(rest),
    authorizer: asked,
    [requestResource]: requestResourceOf(asked, {
      group: kind.group,
      resource: kind.plural,
      subresource,
      namespace,
      name: name || undefined,
    }),
  };
}

/** @throws EvaluationError when one cannot be evaluated and none is false. */
export function allHold(conditions: readonly NamedExpression[], variables: Record<string, unknown>): boolean {
  const budget = new Budget(conditionsBudget);
  let failure: EvaluationError | undefined;
  for (const { name, expression } of conditions) {
    try {
      if (expression.evaluate(variables, budget) !== true) return false;
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      failure ??= new EvaluationError(`match condition "${name}": ${error.message}`);
    }
  }
  if (failure) throw failure;
  return true;
}
