/**
 * RBAC: a user may do what the rules of the roles that are bound to it, or to one of its groups, allow. Nothing is ever denied here; what
 * no rule allows is left to others.
 *
 * Decisions are remembered for each user value (authenticators give the same value for the same token or certificate) until a
 * role or binding changes.
 */
import type { UserInfo } from '@orbitkit/core';
import type { Attributes, Authorizer, Verdict } from '../authorizer.js';
import { type PolicyRule, rulesAllow } from './policy-rule.js';
import type { RoleIndex } from './role-index.js';

export interface RbacAuthorizer extends Authorizer {
  /** Everything that the user may do in a namespace (undefined: everywhere), and what could not be found out. */
  rulesFor(user: UserInfo, namespace: string | undefined): { rules: PolicyRule[]; errors: string[] };
}

/** Decisions that are kept for one user; enough for what a controller does, and a bound for a scanner. */
const keptDecisions = 1_024;

const decisionKey = (of: Attributes): string =>
  of.isResource
    ? `${of.verb}\n${of.group}\n${of.resource}\n${of.subresource ?? ''}\n${of.namespace ?? ''}\n${of.name ?? ''}`
    : `${of.verb} ${of.path}`;

export function rbacAuthorizer(index: RoleIndex): RbacAuthorizer {
  let decisions = new WeakMap<UserInfo, Map<string, Verdict>>();
  let generation = index.generation;

  function decide(attributes: Attributes): Verdict {
    const missing: string[] = [];
    let reason = '';
    const namespace = attributes.isResource ? attributes.namespace : undefined;
    const allowed = index.visit(
      attributes.user,
      namespace,
      ({ rules, binding }) => {
        if (!rulesAllow(rules, attributes)) return false;
        reason = `RBAC: allowed by ${binding.text}`;
        return true;
      },
      text => missing.push(text),
    );
    if (allowed) return { decision: 'allow', reason };
    return { decision: 'noOpinion', reason: missing.length === 0 ? '' : `RBAC: ${aggregate(missing)}` };
  }

  return {
    authorize(attributes) {
      if (generation !== index.generation) {
        generation = index.generation;
        decisions = new WeakMap();
      }
      let known = decisions.get(attributes.user);
      if (known === undefined) {
        known = new Map();
        decisions.set(attributes.user, known);
      }
      const key = decisionKey(attributes);
      let verdict = known.get(key);
      if (verdict === undefined) {
        verdict = decide(attributes);
        if (known.size >= keptDecisions) known.clear();
        known.set(key, verdict);
      }
      return verdict;
    },
    rulesFor(user, namespace) {
      const rules: PolicyRule[] = [];
      const errors: string[] = [];
      index.visit(
        user,
        namespace,
        grant => {
          rules.push(...grant.rules);
          return false;
        },
        text => errors.push(text),
      );
      return { rules, errors };
    },
  };
}

/** Several errors as apimachinery's aggregate shows them. */
const aggregate = (errors: readonly string[]): string => (errors.length === 1 ? errors[0]! : `[${errors.join(', ')}]`);
