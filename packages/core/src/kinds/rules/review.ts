/** Rules of the reviews that ask who someone is and what he may do. Source: authentication/ and authorization/validation (v0.33). */
import type { authenticationv1, authorizationv1 } from '../generated/types/index.js';
import type { Report } from './report.js';

export function checkTokenReview(report: Report, { spec }: authenticationv1.TokenReview): void {
  if (!spec?.token) report.required('spec.token');
}

type Access = Pick<authorizationv1.SubjectAccessReviewSpec, 'resourceAttributes' | 'nonResourceAttributes'>;

function checkAttributes(report: Report, spec: Access | undefined): void {
  if (spec?.resourceAttributes && spec.nonResourceAttributes)
    report.invalid(
      'spec.nonResourceAttributes',
      spec.nonResourceAttributes,
      'cannot be specified in combination with resourceAttributes',
    );
  if (!spec?.resourceAttributes && !spec?.nonResourceAttributes)
    report.invalid(
      'spec.resourceAttributes',
      undefined,
      'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    );
}

export function checkSelfAccessReview(report: Report, { spec }: authorizationv1.SelfSubjectAccessReview): void {
  checkAttributes(report, spec);
}

export function checkAccessReview(
  report: Report,
  { spec }: authorizationv1.SubjectAccessReview | authorizationv1.LocalSubjectAccessReview,
): void {
  checkAttributes(report, spec);
  if (!spec?.user && !spec?.groups?.length)
    report.invalid('spec.user', spec?.user ?? '', 'at least one of user or group must be specified');
}

/** About one namespace, its own. */
export function checkLocalAccessReview(report: Report, review: authorizationv1.LocalSubjectAccessReview): void {
  checkAccessReview(report, review);
  const { metadata, spec } = review;
  if (spec?.resourceAttributes && spec.resourceAttributes.namespace !== metadata.namespace)
    report.invalid(
      'spec.resourceAttributes.namespace',
      spec.resourceAttributes.namespace ?? '',
      'must match metadata.namespace',
    );
  if (spec?.nonResourceAttributes)
    report.invalid('spec.nonResourceAttributes', spec.nonResourceAttributes, 'disallowed on this kind of request');
}
