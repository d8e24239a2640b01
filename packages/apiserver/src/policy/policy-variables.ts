/**
 * `variables.NAME` of a policy: an expression may speak of those before it, and what they are is known when the policy is compiled, so a name
 * that does not exist, or a text that is added to a number, is found then. Computed when they are first asked for; one that fails matters only
 * to who asks for it.
 */
import type { admissionregistrationv1 } from '@orbitkit/core';
import type { Budget } from '../cel/budget.js';
import { type CelEnvironment, CompileError, compile, type Expression } from '../cel/expression.js';
import { escapedName } from '../crd/cel-types.js';
import { readable } from '../webhook/conditions.js';

export interface PolicyVariable {
  readonly name: string;
  readonly expression: Expression;
}

export interface PolicyVariables {
  readonly variables: readonly PolicyVariable[];
  /** Those that do not compile: the others know nothing of their type. */
  readonly problems: readonly { readonly index: number; readonly expression: string; readonly error: CompileError }[];
  /** Where all of them are known. */
  readonly environment: CelEnvironment;
}

/** What the engine knows the value of `variables` by. */
class VariableValues {}

/** @param base Not changed. */
export function compileVariables(
  base: CelEnvironment,
  declared: readonly admissionregistrationv1.Variable[] = [],
): PolicyVariables {
  const types: Record<string, string> = {};
  const variables: PolicyVariable[] = [];
  const problems: PolicyVariables['problems'][number][] = [];
  let environment = withTypes(base, types);
  for (const [index, { name, expression }] of declared.entries()) {
    let type = 'dyn';
    try {
      const compiled = compile(environment, readable(expression));
      variables.push({ name, expression: compiled });
      type = compiled.type;
    } catch (error) {
      if (!(error instanceof CompileError)) throw error;
      problems.push({ index, expression, error });
    }
    types[escapedName(name) ?? name] = type;
    environment = withTypes(base, types);
  }
  return { variables, problems, environment };
}

function withTypes(base: CelEnvironment, types: Readonly<Record<string, string>>): CelEnvironment {
  return base
    .clone()
    .registerType('kubernetes_variables', { ctor: VariableValues, fields: { ...types } })
    .registerVariable('variables', 'kubernetes_variables');
}

/** The value of `variables`. @param given Whatever else the expressions speak of. */
export function lazyVariables(
  expressions: readonly PolicyVariable[],
  given: Readonly<Record<string, unknown>>,
  budget: Budget,
): object {
  const variables = new VariableValues();
  for (const { name, expression } of expressions) {
    let known: { value: unknown } | undefined;
    Object.defineProperty(variables, escapedName(name) ?? name, {
      enumerable: true,
      get() {
        known ??= { value: expression.evaluate({ ...given, variables }, budget) };
        return known.value;
      },
    });
  }
  return variables;
}
