/**
 * Type checking of a ValidatingAdmissionPolicy: its expressions against the schemas of the kinds that it names. A mistake does not keep the
 * policy from being written or applied; it stands in `status.typeChecking`, for its author. Done when the policy's spec is written.
 *
 * Kinds behind wildcards are not looked at, nor more than ten. Source: apiserver `admission/plugin/policy/validating/typechecking.go` (v0.33).
 */
import type { admissionregistrationv1, DynamicObject, Kind, KindRegistry } from '@orbitkit/core';
import { type CelEnvironment, CompileError, compile } from '../cel/expression.js';
import { sameJson } from '../registry/json-value.js';
import type { Strategy } from '../registry/strategy.js';
import { readable, typedEnvironment } from '../webhook/conditions.js';
import type { Policy } from './compiled-policy.js';
import { KindTypes } from './kind-types.js';

type Warning = admissionregistrationv1.ExpressionWarning;

const mostKinds = 10;

/** Kinds that the rules name, without wildcards and subresources. */
function namedKinds({ spec }: Policy, kinds: KindRegistry): Kind[] {
  const named = new Map<string, Kind>();
  for (const { apiGroups, apiVersions, resources } of spec.matchConstraints?.resourceRules ?? []) {
    if ([apiGroups, apiVersions, resources].some(each => each?.includes('*'))) continue;
    for (const group of apiGroups ?? []) {
      for (const version of apiVersions ?? []) {
        for (const resource of resources ?? []) {
          const kind = kinds.byResource(group, version, resource);
          if (kind) named.set(`${group}/${version}/${kind.kind}`, kind as Kind);
        }
      }
    }
  }
  return [...named.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, mostKinds)
    .map(([, kind]) => kind);
}

function problemOf(environment: CelEnvironment, expression: string, wanted: string): string | undefined {
  try {
    compile(environment, readable(expression), [wanted]);
    return undefined;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return error.message.replace(/^compilation failed: /, '');
  }
}

export function expressionWarnings(policy: Policy, kinds: KindRegistry): Warning[] {
  const named = namedKinds(policy, kinds);
  if (named.length === 0) return [];
  const params = paramKindOf(policy, kinds);
  const checks = named.map(kind => {
    const types = new KindTypes();
    const object = types.declare(kind);
    const ofParams = params ? types.declare(params) : 'dyn';
    return { kind, environment: typedEnvironment(types.environment(), object, ofParams) };
  });
  const warnings: Warning[] = [];
  const check = (fieldRef: string, expression: string | undefined, wanted: string): void => {
    if (!expression?.trim()) return;
    const problems = checks.flatMap(({ kind, environment }) => {
      const problem = problemOf(environment, expression, wanted);
      return problem === undefined ? [] : [`${nameOf(kind)}: ${problem}`];
    });
    if (problems.length > 0) warnings.push({ fieldRef, warning: problems.join('\n') });
  };
  for (const [i, { expression, messageExpression }] of (policy.spec.validations ?? []).entries()) {
    check(`spec.validations[${i}].expression`, expression, 'bool');
    check(`spec.validations[${i}].messageExpression`, messageExpression, 'string');
  }
  return warnings;
}

/** `apps/v1, Kind=Deployment`. */
const nameOf = ({ group, version, kind }: Kind): string => `${group ? `${group}/` : ''}${version}, Kind=${kind}`;

function paramKindOf({ spec: { paramKind } }: Policy, kinds: KindRegistry): Kind | undefined {
  if (!paramKind?.apiVersion || !paramKind.kind) return undefined;
  const [version, group = ''] = paramKind.apiVersion.split('/').reverse();
  return kinds.get({ group, version: version!, kind: paramKind.kind }) as Kind | undefined;
}

/** Writes the outcome into the policy's status, together with the spec that it is about. */
export function validatingPolicyStrategy(kinds: KindRegistry): Strategy {
  const judge = (object: DynamicObject, generation: number): void => {
    const warnings = expressionWarnings(object as unknown as Policy, kinds);
    object['status'] = {
      ...(object['status'] as object | undefined),
      observedGeneration: generation,
      typeChecking: warnings.length > 0 ? { expressionWarnings: warnings } : {},
    };
  };
  return {
    versionRequired: true,
    prepareCreate: object => judge(object, 1),
    prepareUpdate(object, old) {
      if (!sameJson(object['spec'], old['spec'])) judge(object, (old.metadata.generation ?? 0) + 1);
    },
  };
}
