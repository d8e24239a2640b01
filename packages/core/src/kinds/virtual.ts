/** Kinds that live only as bodies of subresources: never listed, never stored. */
import type { KubeObject } from '../meta/object.js';
import { builtin } from './builtin.js';
import type { authenticationv1, autoscalingv1, policyv1 } from './generated/types/index.js';

const unlisted = { namespaced: true, shortNames: [], categories: [], verbs: [], subresources: [] } as const;

export type Scale = autoscalingv1.Scale & KubeObject;
/** How many replicas something has and wants: `X/scale`. */
export const Scale = /* @__PURE__ */ builtin<Scale>('autoscaling/v1.Scale', {
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
  plural: 'scales',
  singular: 'scale',
  listKind: 'ScaleList',
  ...unlisted,
});

export type Eviction = policyv1.Eviction & KubeObject;
/** Asks for a pod to be deleted, budgets permitting: `pods/eviction`. */
export const Eviction = /* @__PURE__ */ builtin<Eviction>('policy/v1.Eviction', {
  group: 'policy',
  version: 'v1',
  kind: 'Eviction',
  plural: 'evictions',
  singular: 'eviction',
  listKind: 'EvictionList',
  ...unlisted,
});

export type TokenRequest = authenticationv1.TokenRequest & KubeObject;
/** Asks for a token of a service account: `serviceaccounts/token`. */
export const TokenRequest = /* @__PURE__ */ builtin<TokenRequest>('authentication.k8s.io/v1.TokenRequest', {
  group: 'authentication.k8s.io',
  version: 'v1',
  kind: 'TokenRequest',
  plural: 'tokenrequests',
  singular: 'tokenrequest',
  listKind: 'TokenRequestList',
  ...unlisted,
});
