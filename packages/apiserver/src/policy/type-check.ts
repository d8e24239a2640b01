/**
 * Type checking of a ValidatingAdmissionPolicy: its expressions against the schemas of the kinds that it names. A mistake does not keep the
 * policy from being written or applied; it stands in `status.typeChecking`, for its author. Done when the policy's spec is written, and again
 * when the kinds that are served have changed (`keepTypesChecked`).
 *
 * Variables have the types of their expressions for each kind; they and audit annotations are checked as well, which upstream does not. Kinds behind wildcards are not looked at, nor more than ten. Source: apiserver `admission/plugin/policy/validating/typechecking.go` (v0.33).
 */
import {
  type admissionregistrationv1,
  type Clock,
  type DynamicObject,
  isConflict,
  isNotFound,
  type Kind,
  type KindRegistry,
  type Logger,
} from '@orbitkit/core';
import type { AdmissionCluster } from '../admission/contract.js';
import { type CelEnvironment, CompileError, compile } from '../cel/expression.js';
import type { RequestContext, Resources } from '../registry/contract.js';
import { sameJson } from '../registry/json-value.js';
import type { Strategy } from '../registry/strategy.js';
import { readable, typedEnvironment } from '../webhook/conditions.js';
import type { Policy } from './compiled-policy.js';
import { KindTypes } from './kind-types.js';
import { compileVariables } from './policy-variables.js';

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

const textOf = (error: CompileError): string => error.message.replace(/^compilation failed: /, '');

function problemOf(environment: CelEnvironment, expression: string, wanted: readonly string[]): string | undefined {
  try {
    compile(environment, readable(expression), wanted);
    return undefined;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    return textOf(error);
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
    return {
      kind,
      ...compileVariables(typedEnvironment(types.environment(), object, ofParams), policy.spec.variables),
    };
  });
  const warnings: Warning[] = [];
  const warn = (fieldRef: string, problems: string[]): void => {
    if (problems.length > 0) warnings.push({ fieldRef, warning: problems.join('\n') });
  };
  const check = (fieldRef: string, expression: string | undefined, ...wanted: string[]): void => {
    if (!expression?.trim()) return;
    const problems = checks.flatMap(({ kind, environment }) => {
      const problem = problemOf(environment, expression, wanted);
      return problem === undefined ? [] : [`${nameOf(kind)}: ${problem}`];
    });
    warn(fieldRef, problems);
  };
  for (const i of (policy.spec.variables ?? []).keys()) {
    const problems = checks.flatMap(each =>
      each.problems.filter(({ index }) => index === i).map(({ error }) => `${nameOf(each.kind)}: ${textOf(error)}`),
    );
    warn(`spec.variables[${i}].expression`, problems);
  }
  for (const [i, { expression, messageExpression }] of (policy.spec.validations ?? []).entries()) {
    check(`spec.validations[${i}].expression`, expression, 'bool');
    check(`spec.validations[${i}].messageExpression`, messageExpression, 'string');
  }
  for (const [i, { valueExpression }] of (policy.spec.auditAnnotations ?? []).entries())
    check(`spec.auditAnnotations[${i}].valueExpression`, valueExpression, 'string', 'null');
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

export interface TypeCheckingOptions {
  readonly resources: Resources & { readonly cluster: AdmissionCluster };
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const checker = { username: 'system:apiserver', groups: ['system:masters'] };
const policiesId = { group: 'admissionregistration.k8s.io', plural: 'validatingadmissionpolicies' };
/** A definition's versions, and those of a whole installation, come together. */
const settleMs = 500;

/** Looks at all policies again when the served kinds have changed, until the signal aborts. */
export async function keepTypesChecked({ resources, kinds, clock, log, signal }: TypeCheckingOptions): Promise<void> {
  const context: RequestContext = { user: checker, signal, warn: () => undefined };
  let changed = false;
  let wake: (() => void) | undefined;
  const stopListening = kinds.onChange(() => {
    changed = true;
    wake?.();
  });
  const onStop = () => wake?.();
  signal.addEventListener('abort', onStop, { once: true });
  try {
    while (!signal.aborted) {
      if (!changed) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
        continue;
      }
      await clock.sleep(settleMs, signal).catch(() => undefined);
      changed = false;
      await checkAgain().catch(error => {
        if (!signal.aborted) log.warn('the types of admission policies could not be checked', { error: String(error) });
      });
    }
  } finally {
    signal.removeEventListener('abort', onStop);
    stopListening();
  }

  async function checkAgain(): Promise<void> {
    const kind = kinds.kinds.find((each: Kind) => each.group === policiesId.group && each.plural === policiesId.plural);
    if (kind === undefined) return;
    for (const stored of await resources.cluster.list(policiesId, undefined, signal)) {
      if (signal.aborted) return;
      const policy = stored.object() as unknown as Policy;
      const warnings = expressionWarnings(policy, kinds);
      if (sameJson(warnings, policy.status?.typeChecking?.expressionWarnings ?? [])) continue;
      // An update consumes its body; what a reader gets is everybody's.
      const value = JSON.parse(stored.bytes.toString()) as DynamicObject;
      const typeChecking = warnings.length > 0 ? { expressionWarnings: warnings } : {};
      value['status'] = { ...(value['status'] as object | undefined), typeChecking };
      await resources.updateSubresource(context, kind, policy.metadata, 'status', { value }).catch(error => {
        // Whoever changed it checked it, or another server said the same.
        if (!isConflict(error) && !isNotFound(error)) throw error;
      });
    }
  }
}
