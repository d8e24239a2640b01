/** A ValidatingAdmissionPolicy's expressions, compiled once per version. `variables` are computed when they are first asked for. */
import type { admissionregistrationv1, FieldError } from '@orbitkit/core';
import type { Budget } from '../cel/budget.js';
import { CompileError, compile, type Expression } from '../cel/expression.js';
import { invalidValue } from '../crd/field-errors.js';
import {
  compileConditions,
  type NamedExpression,
  readable,
  requestEnvironment,
  withPolicy,
} from '../webhook/conditions.js';

export type Policy = admissionregistrationv1.ValidatingAdmissionPolicy;
type Validation = admissionregistrationv1.Validation;

export interface CompiledPolicy {
  readonly policy: Policy;
  readonly conditions: readonly NamedExpression[];
  readonly variables: readonly NamedExpression[];
  readonly validations: readonly { source: Validation; expression: Expression; message: Expression | undefined }[];
  readonly annotations: readonly { key: string; expression: Expression }[];
  /** Expressions that cannot be used. */
  readonly errors: readonly FieldError[];
}

const anything = [
  'bool',
  'string',
  'int',
  'uint',
  'double',
  'list',
  'map',
  'null',
  'bytes',
  'google.protobuf.Timestamp',
];

export function compilePolicy(policy: Policy): CompiledPolicy {
  const { spec } = policy;
  const errors: FieldError[] = [];
  const environment = withPolicy(requestEnvironment());
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
      attempt(`spec.matchConditions[${i}].expression`, each.expression, () => compileConditions(environment, [each])) ??
      [],
  );
  const variables = (spec.variables ?? []).flatMap(({ name, expression }, i) => {
    const made = attempt(`spec.variables[${i}].expression`, expression, () => compileAny(environment, expression));
    return made ? [{ name, expression: made }] : [];
  });
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

/** Of whatever type. */
function compileAny(environment: ReturnType<typeof requestEnvironment>, text: string): Expression {
  try {
    return compile(environment, readable(text), anything);
  } catch (error) {
    const type = error instanceof CompileError ? /but evaluates to (\S+)$/.exec(error.message)?.[1] : undefined;
    if (type === undefined) throw error;
    return compile(environment, readable(text), [type]);
  }
}

/** `variables.NAME`: each may speak of those before it; one that fails matters only to who asks for it. */
export function lazyVariables(
  expressions: readonly NamedExpression[],
  given: Readonly<Record<string, unknown>>,
  budget: Budget,
): Record<string, unknown> {
  const variables: Record<string, unknown> = {};
  for (const { name, expression } of expressions) {
    let known: { value: unknown } | undefined;
    Object.defineProperty(variables, name, {
      enumerable: true,
      get() {
        known ??= { value: expression.evaluate({ ...given, variables }, budget) };
        return known.value;
      },
    });
  }
  return variables;
}
