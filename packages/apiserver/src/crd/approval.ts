/**
 * Groups of the Kubernetes project (`*.k8s.io`, `*.kubernetes.io`) are protected: their definitions say by an annotation where they were
 * approved, or that they were not. Source and texts: apiextensions-apiserver `pkg/apihelpers`, `controller/apiapproval` (v0.33).
 */
import type { Definition } from './custom-kind.js';

export const approvalAnnotation = 'api-approved.kubernetes.io';

const isProtected = (group: string): boolean => /(?:^|\.)(?:k8s|kubernetes)\.io$/.test(group);

export interface Approval {
  readonly approved: boolean;
  readonly reason: 'ApprovedAnnotation' | 'UnapprovedAnnotation' | 'MissingAnnotation' | 'InvalidAnnotation';
  readonly message: string;
}

/** Undefined for groups of which nothing is asked. */
export function approvalOf({ metadata, spec }: Definition): Approval | undefined {
  if (!isProtected(spec.group ?? '')) return undefined;
  const text = metadata.annotations?.[approvalAnnotation];
  if (!text) {
    const message = `protected groups must have approval annotation "${approvalAnnotation}", see https://github.com/kubernetes/enhancements/pull/1111`;
    return { approved: false, reason: 'MissingAnnotation', message };
  }
  if (text.startsWith('unapproved'))
    return { approved: false, reason: 'UnapprovedAnnotation', message: `not approved: ${JSON.stringify(text)}` };
  if (/^https?:\/\/\S+$/.test(text))
    return { approved: true, reason: 'ApprovedAnnotation', message: `approved in ${text}` };
  const message =
    'protected groups must have approval annotation with either a URL or a reason starting with "unapproved"';
  return { approved: false, reason: 'InvalidAnnotation', message };
}
