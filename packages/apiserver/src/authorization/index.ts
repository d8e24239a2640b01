/** May they. */
export { accessReviews } from './access-reviews.js';
export {
  type Attributes,
  type Authorizer,
  allowMasters,
  anyAuthorizer,
  type Decision,
  forbidden,
  requireAllowed,
  type Verdict,
} from './authorizer.js';
export { rbacKinds, reconcileBootstrapPolicy } from './bootstrap/reconcile.js';
export { certificateRequestStrategy, certificateRequests } from './certificates/certificate-requests.js';
export { nodeAuthorizer } from './node/node-authorizer.js';
export { NodeGraph } from './node/node-graph.js';
export { nodeRestriction } from './node/node-restriction.js';
export { escalationCheck } from './rbac/escalation.js';
export { rbacAuthorizer } from './rbac/rbac-authorizer.js';
export { RoleIndex } from './rbac/role-index.js';
