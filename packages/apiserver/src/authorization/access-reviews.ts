/**
 * What somebody may do, asked as an object: SelfSubjectAccessReview, SubjectAccessReview, LocalSubjectAccessReview and
 * SelfSubjectRulesReview. Answers are the authorizer's for exactly what a request would ask it.
 */
import {
  type authorizationv1,
  badRequest,
  type DynamicObject,
  type FieldError,
  invalid,
  type UserInfo,
} from '@orbitkit/core';
import type { RequestContext } from '../registry/contract.js';
import type { VirtualResource, VirtualResources } from '../registry/virtual-resources.js';
import type { Attributes, Authorizer } from './authorizer.js';
import { nodeOf } from './node/node-authorizer.js';
import type { RbacAuthorizer } from './rbac/rbac-authorizer.js';

type Spec = authorizationv1.SubjectAccessReviewSpec;

const group = 'authorization.k8s.io';

/** @param rbac answers SelfSubjectRulesReview; absent: the list is empty and says that it is incomplete. */
export function accessReviews(authorizer: Authorizer, rbac: RbacAuthorizer | undefined): VirtualResources {
  const kindOf = (kind: string) => ({ group, version: 'v1', kind });

  async function reviewed(object: DynamicObject, kind: string, user: UserInfo): Promise<object> {
    const spec = object['spec'] as Spec;
    const verdict = await authorizer.authorize(attributesOf(spec, user));
    return {
      kind,
      apiVersion: `${group}/v1`,
      metadata: {
        ...(object.metadata.namespace ? { namespace: object.metadata.namespace } : {}),
        creationTimestamp: null,
      },
      spec,
      status: {
        allowed: verdict.decision === 'allow',
        ...(verdict.decision === 'deny' ? { denied: true } : {}),
        ...(verdict.reason === '' ? {} : { reason: verdict.reason }),
      },
    };
  }

  function required(object: DynamicObject, kind: string, withSubject: boolean): void {
    const spec = (object['spec'] ?? {}) as Spec;
    const errors: FieldError[] = [];
    if (withSubject && !spec.user && !spec.groups?.length)
      errors.push({
        field: 'spec.user',
        type: 'FieldValueRequired',
        message: 'Required value: at least one of user or group must be specified',
      });
    if (spec.resourceAttributes && spec.nonResourceAttributes)
      errors.push({
        field: 'spec.nonResourceAttributes',
        type: 'FieldValueInvalid',
        message: 'Invalid value: "": cannot be specified in combination with resourceAttributes',
      });
    if (!spec.resourceAttributes && !spec.nonResourceAttributes)
      errors.push({
        field: 'spec.resourceAttributes',
        type: 'FieldValueInvalid',
        message: 'Invalid value: "": exactly one of nonResourceAttributes or resourceAttributes must be specified',
      });
    if (errors.length > 0) throw invalid(kindOf(kind), '', errors);
  }

  const subject: VirtualResource = {
    create(_context, object) {
      required(object, 'SubjectAccessReview', true);
      return reviewed(object, 'SubjectAccessReview', subjectOf(object['spec'] as Spec));
    },
  };
  const local: VirtualResource = {
    create(_context, object) {
      const kind = 'LocalSubjectAccessReview';
      required(object, kind, true);
      const spec = object['spec'] as Spec;
      const { namespace = '' } = object.metadata;
      const errors: FieldError[] = [];
      if (spec.nonResourceAttributes)
        errors.push({
          field: 'spec.nonResourceAttributes',
          type: 'FieldValueInvalid',
          message: 'Invalid value: "": disallowed on this kind of request',
        });
      if (spec.resourceAttributes && spec.resourceAttributes.namespace !== namespace)
        errors.push({
          field: 'spec.resourceAttributes.namespace',
          type: 'FieldValueInvalid',
          message: `Invalid value: ${JSON.stringify(spec.resourceAttributes.namespace ?? '')}: must match metadata.namespace`,
        });
      if (errors.length > 0) throw invalid(kindOf(kind), '', errors);
      return reviewed(object, kind, subjectOf(spec));
    },
  };
  const self: VirtualResource = {
    create({ user }, object) {
      required(object, 'SelfSubjectAccessReview', false);
      return reviewed(object, 'SelfSubjectAccessReview', user);
    },
  };
  const rules: VirtualResource = { create: (context, object) => rulesReview(context, object, rbac) };
  return {
    [`${group}/v1/SubjectAccessReview`]: subject,
    [`${group}/v1/LocalSubjectAccessReview`]: local,
    [`${group}/v1/SelfSubjectAccessReview`]: self,
    [`${group}/v1/SelfSubjectRulesReview`]: rules,
  };
}

const subjectOf = ({ user, groups, uid, extra }: Spec): UserInfo => ({
  username: user ?? '',
  groups: groups ?? [],
  ...(uid ? { uid } : {}),
  ...(extra ? { extra } : {}),
});

function attributesOf({ resourceAttributes: of, nonResourceAttributes: path }: Spec, user: UserInfo): Attributes {
  if (path !== undefined) {
    return {
      user,
      verb: path.verb ?? '',
      isResource: false,
      path: path.path ?? '',
      group: '',
      version: '',
      namespace: undefined,
      resource: '',
      subresource: undefined,
      name: undefined,
    };
  }
  return {
    user,
    verb: of?.verb ?? '',
    isResource: true,
    path: '',
    group: of?.group ?? '',
    version: of?.version ?? '',
    namespace: of?.namespace || undefined,
    resource: of?.resource ?? '',
    subresource: of?.subresource || undefined,
    name: of?.name || undefined,
    fieldSelector: of?.fieldSelector?.rawSelector ?? fieldSelectorText(of?.fieldSelector?.requirements),
  };
}

function fieldSelectorText(requirements: authorizationv1.FieldSelectorAttributes['requirements']): string | undefined {
  if (!requirements?.length) return undefined;
  return requirements
    .filter(({ operator, values }) => operator === 'In' && values?.length === 1)
    .map(({ key, values }) => `${key}=${values![0]}`)
    .join(',');
}

function rulesReview({ user }: RequestContext, object: DynamicObject, rbac: RbacAuthorizer | undefined): object {
  const namespace = (object['spec'] as authorizationv1.SelfSubjectRulesReviewSpec | undefined)?.namespace;
  if (!namespace) throw badRequest('no namespace on request');
  const { rules, errors } = rbac?.rulesFor(user, namespace) ?? {
    rules: [],
    errors: ['the authorizer of this server does not list rules'],
  };
  const problems =
    nodeOf(user) === undefined ? errors : [...errors, 'node authorizer does not support user rule resolution'];
  return {
    kind: 'SelfSubjectRulesReview',
    apiVersion: `${group}/v1`,
    metadata: { creationTimestamp: null },
    spec: {},
    status: {
      resourceRules: rules
        .filter(rule => rule.resources?.length)
        .map(({ verbs, apiGroups, resources, resourceNames }) => ({
          verbs,
          apiGroups,
          resources,
          ...(resourceNames?.length ? { resourceNames } : {}),
        })),
      nonResourceRules: rules
        .filter(rule => rule.nonResourceURLs?.length)
        .map(({ verbs, nonResourceURLs }) => ({ verbs, nonResourceURLs })),
      incomplete: problems.length > 0,
      ...(problems.length > 0 ? { evaluationError: problems.join(', ') } : {}),
    },
  };
}
