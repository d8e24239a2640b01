/**
 * What a node agent may do: `system:node:NAME` in `system:nodes`. Of what the role `system:node` lists it reads only what belongs to pods
 * bound to it, asks tokens only for their service accounts, and touches only its own Node, lease and CSINode. Which pods it may write, and
 * how, is the NodeRestriction plugin's (`node-restriction.ts`): that needs the object.
 *
 * Source: upstream `plugin/pkg/auth/authorizer/node/node_authorizer.go` with AuthorizeNodeWithSelectors (on since 1.32).
 */
import { parseFieldSelector, type UserInfo } from '@orbitkit/core';
import type { Attributes, Authorizer, Verdict } from '../authorizer.js';
import { nodeRules } from '../bootstrap/component-roles.js';
import { rulesAllow } from '../rbac/policy-rule.js';
import type { GraphResource, NodeGraph } from './node-graph.js';

const prefix = 'system:node:';
export const nodesGroup = 'system:nodes';
/** The node that a user is; undefined: none. */
export function nodeOf(user: UserInfo): string | undefined {
  return user.username.startsWith(prefix) && user.username.length > prefix.length && user.groups.includes(nodesGroup)
    ? user.username.slice(prefix.length)
    : undefined;
}

const allowed: Verdict = { decision: 'allow', reason: '' };
const none: Verdict = { decision: 'noOpinion', reason: '' };
const no = (reason: string): Verdict => ({ decision: 'noOpinion', reason });

const leaseVerbs = new Set(['get', 'create', 'update', 'patch', 'delete']);

export function nodeAuthorizer(graph: NodeGraph): Authorizer {
  function reads(node: string, of: Attributes, resource: GraphResource, verbs: readonly string[]): Verdict {
    if (!verbs.includes(of.verb)) return no(`can only ${verbs.join('/')} resources of this type`);
    if (of.subresource !== undefined) return no('cannot read subresource');
    if (of.name === undefined || (of.namespace === undefined && resource !== 'persistentvolumes'))
      return no('can only read an object by its name, in its namespace');
    if (graph.reaches(node, resource, of.namespace, of.name)) return allowed;
    return no(`no relationship found between node '${node}' and this object`);
  }

  function resourceOf(node: string, of: Attributes): Verdict {
    switch (of.group === '' ? of.resource : `${of.group}/${of.resource}`) {
      case 'secrets':
      case 'configmaps':
        return reads(node, of, of.resource as GraphResource, ['get', 'list', 'watch']);
      case 'persistentvolumeclaims':
        if (of.subresource === 'status') {
          if (of.verb !== 'update' && of.verb !== 'patch') return no('can only update status');
          return of.name !== undefined && graph.reaches(node, 'persistentvolumeclaims', of.namespace, of.name)
            ? allowed
            : no(`no relationship found between node '${node}' and this object`);
        }
        return reads(node, of, 'persistentvolumeclaims', ['get']);
      case 'persistentvolumes':
        return reads(node, of, 'persistentvolumes', ['get']);
      case 'serviceaccounts':
        if (of.verb !== 'create' || of.subresource !== 'token')
          return no('can only create tokens for individual service accounts');
        return of.name !== undefined && graph.reaches(node, 'serviceaccounts', of.namespace, of.name)
          ? allowed
          : no(`no relationship found between node '${node}' and this object`);
      case 'pods':
        return podOf(node, of);
      case 'nodes':
        return ownObject(node, of, 'nodes', ['get', 'list', 'watch', 'update', 'patch']);
      case 'coordination.k8s.io/leases':
        if (!leaseVerbs.has(of.verb)) return no('can only get, create, update, patch, or delete a node lease');
        if (of.namespace !== 'kube-node-lease')
          return no('can only access leases in the "kube-node-lease" system namespace');
        if (of.verb !== 'create' && of.name !== node)
          return no('can only access node lease with the same name as the requesting node');
        return allowed;
      case 'storage.k8s.io/volumeattachments':
        if (of.verb !== 'get' || of.subresource !== undefined || of.name === undefined)
          return no('can only get individual resources of this type');
        return graph.attachedTo(node, of.name)
          ? allowed
          : no(`no relationship found between node '${node}' and this object`);
      case 'storage.k8s.io/csinodes':
        if (of.verb !== 'create' && of.name !== node)
          return no('can only access CSINode with the same name as the requesting node');
        return byRole(of);
      default:
        return byRole(of);
    }
  }

  /** Its pods: by name when bound to it, a list of those on it, and what NodeRestriction looks at further. */
  function podOf(node: string, of: Attributes): Verdict {
    if (of.subresource !== undefined || !['get', 'list', 'watch'].includes(of.verb)) return byRole(of);
    if (of.name !== undefined && of.namespace !== undefined && graph.reaches(node, 'pods', of.namespace, of.name))
      return allowed;
    if (of.verb !== 'get' && selects(of.fieldSelector, 'spec.nodeName', node)) return allowed;
    return no(
      of.verb === 'get'
        ? `no relationship found between node '${node}' and this object`
        : `can only list/watch pods with spec.nodeName field selector`,
    );
  }

  function ownObject(node: string, of: Attributes, what: string, verbs: readonly string[]): Verdict {
    if (verbs.includes(of.verb) && of.name !== node)
      return no(`node '${node}' cannot ${of.verb} all ${what}, only its own Node object`);
    return byRole(of);
  }

  const byRole = (of: Attributes): Verdict => (rulesAllow(nodeRules, of) ? allowed : none);

  return {
    authorize(attributes) {
      const node = nodeOf(attributes.user);
      if (node === undefined) return none;
      return attributes.isResource ? resourceOf(node, attributes) : byRole(attributes);
    },
  };
}

/** Whether a field selector lets nothing through but this value. */
function selects(selector: string | undefined, field: string, value: string): boolean {
  if (selector === undefined) return false;
  try {
    return parseFieldSelector(selector).exactly(field) === value;
  } catch {
    return false;
  }
}
