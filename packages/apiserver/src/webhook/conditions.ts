/**
 * matchConditions: expressions in CEL, all of which must hold for a webhook or policy to be about a request; compiled once. One that is false
 * decides, whatever failed beside it.
 */
import type { admissionregistrationv1, DynamicObject } from '@orbitkit/core';
import type { AdmissionRequest } from '../admission/contract.js';
import { Budget } from '../cel/budget.js';
import { celEnvironment } from '../cel/environment.js';
import { type CelEnvironment, compile, EvaluationError, type Expression } from '../cel/expression.js';
import { celOf } from '../cel/values.js';
import { requestOf } from './admission-review.js';

export interface NamedExpression {
  readonly name: string;
  readonly expression: Expression;
}

/** `object`, `oldObject` and `request`, as conditions and policies see them. */
export function requestEnvironment(): CelEnvironment {
  return celEnvironment()
    .registerVariable('object', 'dyn')
    .registerVariable('oldObject', 'dyn')
    .registerVariable('request', 'dyn');
}

/** @throws CompileError */
export function compileConditions(
  environment: CelEnvironment,
  conditions: readonly admissionregistrationv1.MatchCondition[] | undefined,
): NamedExpression[] {
  return (conditions ?? []).map(({ name, expression }) => ({
    name,
    expression: compile(environment, expression.trim(), ['bool']),
  }));
}

export function requestVariables(request: AdmissionRequest): Record<string, unknown> {
  const { object: _object, oldObject: _oldObject, ...rest } = requestOf(request, request.kind, '');
  const value = (object: Readonly<DynamicObject> | undefined) => (object === undefined ? null : celOf(object));
  return { object: value(request.object), oldObject: value(request.oldObject), request: celOf(rest) };
}

/** @throws EvaluationError when one cannot be evaluated and none is false. */
export function allHold(conditions: readonly NamedExpression[], variables: Record<string, unknown>): boolean {
  const budget = new Budget();
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
