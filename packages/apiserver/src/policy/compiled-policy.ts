/** A ValidatingAdmissionPolicy's expressions, compiled once per version. */
import type { admissionregistrationv1, FieldError } from '@orbitkit/core';
import { CompileError, compile, type Expression } from '../cel/expression.js';
import { invalidValue } from '../crd/field-errors.js';
import {
  compileConditions,
  type NamedExpression,
  readable,
  requestEnvironment,
  withPolicy,
} from '../webhook/conditions.js';
import { compileVariables, type PolicyVariable } from './policy-variables.js';

export type Policy = admissionregistrationv1.ValidatingAdmissionPolicy;
type Validation = admissionregistrationv1.Validation;

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly conditions: readonly NamedExpression[];
  readonly variables: readonly PolicyVariable[];
  readonly validations: readonly { source: Validation; expression: Expression; message: Expression | undefined }[];
  readonly annotations: readonly { key: string; expression: Expression }[];
  /** Expressions that cannot be used. */
  readonly errors: readonly FieldError[];
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const { spec } = policy;
  const errors: FieldError[] = [];
  const base = withPolicy(requestEnvironment());
  const attempt = <T>(field: string, text: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      errors.push(invalidValue(field, text, error.message));
      return undefined;
    }
  };
  const conditions = (spec.matchConditions ?? []).flatMap(
    (each, i) =>
      attempt(`spec.matchConditions[${i}].expression`, each.expression, () => compileConditions(base, [each])) ?? [],
  );
  const { variables, problems, environment } = compileVariables(base, spec.variables);
  for (const { index, expression, error } of problems)
    errors.push(invalidValue(`spec.variables[${index}].expression`, expression, error.message));
  const validations = (spec.validations ?? []).flatMap((source, i) => {
    const at = `spec.validations[${i}]`;
    const expression = attempt(`${at}.expression`, source.expression, () =>
      compile(environment, readable(source.expression), ['bool']),
    );
    const message = source.messageExpression
      ? attempt(`${at}.messageExpression`, source.messageExpression, () =>
          compile(environment, readable(source.messageExpression!), ['string']),
        )
      : undefined;
    return expression ? [{ source, expression, message }] : [];
  });
  const annotations = (spec.auditAnnotations ?? []).flatMap(({ key, valueExpression }, i) => {
    const expression = attempt(`spec.auditAnnotations[${i}].valueExpression`, valueExpression, () =>
      compile(environment, readable(valueExpression), ['string', 'null']),
    );
    return expression ? [{ key, expression }] : [];
  });
  return { policy, conditions, variables, validations, annotations, errors };
}
