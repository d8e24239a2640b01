/** May they. */
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
