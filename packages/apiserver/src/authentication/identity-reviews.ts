/** Who somebody is, asked as an object: TokenReview for a token, SelfSubjectReview for oneself. */
import { type authenticationv1, invalid, isStatusError, type UserInfo } from '@orbitkit/core';
import type { VirtualResource, VirtualResources } from '../registry/virtual-resources.js';

const group = 'authentication.k8s.io';

export interface TokenReviewer {
  readonly apiAudiences: readonly string[];
  /** Undefined: nobody knows the token, or it is for other audiences. */
  review(
    token: string,
    audiences: readonly string[],
  ): Promise<{ user: UserInfo; audiences: readonly string[] } | undefined>;
}

export function identityReviews(reviewer: TokenReviewer): VirtualResources {
  return {
    [`${group}/v1/TokenReview`]: {
      async create(_context, object) {
        const spec = (object['spec'] ?? {}) as authenticationv1.TokenReviewSpec;
        if (!spec.token) {
          throw invalid({ group, kind: 'TokenReview' }, '', [
            {
              field: 'spec.token',
              type: 'FieldValueRequired',
              message: 'Required value: token is required for TokenReview in authentication',
            },
          ]);
        }
        return review('TokenReview', spec, await statusOf(spec.token, spec.audiences ?? []));
      },
    },
    [`${group}/v1/SelfSubjectReview`]: selfReview('v1'),
    // The only one that `kubectl auth whoami` of 1.27 knows.
    [`${group}/v1beta1/SelfSubjectReview`]: selfReview('v1beta1'),
  };

  async function statusOf(token: string, audiences: readonly string[]): Promise<object> {
    try {
      const found = await reviewer.review(token, audiences.length === 0 ? reviewer.apiAudiences : audiences);
      if (found === undefined) return { authenticated: false, error: 'invalid bearer token' };
      return { authenticated: true, user: shown(found.user), audiences: found.audiences };
    } catch (error) {
      if (!isStatusError(error)) throw error;
      return { authenticated: false, error: error.message };
    }
  }
}

const selfReview = (version: string): VirtualResource => ({
  create: ({ user }) => review('SelfSubjectReview', undefined, { userInfo: shown(user) }, version),
});

const review = (kind: string, spec: object | undefined, status: object, version = 'v1'): object => ({
  kind,
  apiVersion: `${group}/${version}`,
  metadata: { creationTimestamp: null },
  ...(spec ? { spec } : {}),
  status,
});

const shown = ({ username, uid, groups, extra }: UserInfo) => ({
  username,
  ...(uid ? { uid } : {}),
  groups,
  ...(extra ? { extra } : {}),
});
