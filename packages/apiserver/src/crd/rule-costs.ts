/**
 * What the rules of a definition may cost: one rule for all the places where it is judged, and all rules of a schema together. A definition
 * above either limit is refused when it is written. Limits and texts: apiextensions-apiserver `validation` (StaticEstimatedCostLimit,
 * StaticEstimatedCRDCostLimit; v0.33).
 */
import type { FieldError } from '@orbitkit/core';
import { estimatedCost } from '../cel/cost-estimate.js';
import type { Expression } from '../cel/expression.js';
import { boundOf, type Cardinality, occurrences } from './cost-bounds.js';
import { forbiddenField } from './field-errors.js';
import type { Structural } from './structural.js';

const ruleLimit = 10_000_000;
const schemaLimit = 100_000_000;

/** As many are named as dear when all together cost too much. */
const namedAtMost = 4;

export class RuleCosts {
  #total = 0;
  readonly #observed: { path: string; cost: number }[] = [];

  /** Errors of this rule alone. */
  observe(
    node: Structural,
    isResource: boolean,
    cardinality: Cardinality,
    rule: { path: string; expression: Expression; message: Expression | undefined },
  ): FieldError[] {
    const self = boundOf(node, isResource);
    const variables = new Map([
      ['self', self],
      ['oldSelf', self],
    ]);
    const times = occurrences(node, cardinality);
    const errors: FieldError[] = [];
    const count = (expression: Expression, field: string, what: string): void => {
      const cost = estimatedCost(expression.ast, variables) * times;
      if (cost > ruleLimit) errors.push(forbiddenField(field, tooDear(what, cost / ruleLimit)));
      this.#total += cost;
      this.#observed.push({ path: field, cost });
    };
    count(rule.expression, `${rule.path}.rule`, 'estimated rule cost');
    if (rule.message) count(rule.message, `${rule.path}.messageExpression`, 'estimated messageExpression cost');
    return errors;
  }

  /** Errors of all rules together. */
  total(path: string): FieldError[] {
    if (this.#total <= schemaLimit) return [];
    const dearest = this.#observed.sort((a, b) => b.cost - a.cost).slice(0, namedAtMost);
    return [
      ...dearest.map(each =>
        forbiddenField(
          each.path,
          'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema',
        ),
      ),
      forbiddenField(
        path,
        tooDear(
          'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema',
          this.#total / schemaLimit,
        ),
      ),
    ];
  }
}

function tooDear(what: string, factor: number): string {
  const times = factor > 100 ? 'more than 100x' : `${factor < 1.5 ? factor.toFixed(6) : factor.toFixed(1)}x`;
  return `${what} exceeds budget by factor of ${times} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)`;
}
