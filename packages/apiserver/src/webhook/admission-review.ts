/** `admission.k8s.io/v1` AdmissionReview: what a webhook is asked, and what it may answer. Checked before anything is made of it. */
import { badRequest, type DynamicObject, type Kind, StatusError } from '@orbitkit/core';
import type { AdmissionRequest } from '../admission/contract.js';
import { isObject } from '../crd/structural.js';

export interface ReviewRequest {
  readonly uid: string;
  readonly object?: unknown;
  readonly oldObject?: unknown;
  readonly [name: string]: unknown;
}

const optionsKind = { CREATE: 'CreateOptions', UPDATE: 'UpdateOptions', DELETE: 'DeleteOptions' } as const;

/** @param kind The form in which the webhook wants the objects. */
export function requestOf(request: AdmissionRequest, kind: Kind, uid: string): ReviewRequest {
  const { operation, name, namespace, subresource, user, dryRun, object, oldObject } = request;
  const asked = {
    kind: { group: kind.group, version: kind.version, kind: kind.kind },
    resource: { group: kind.group, version: kind.version, resource: kind.plural },
    ...(subresource === undefined ? {} : { subResource: subresource }),
  };
  const own = request.kind;
  return {
    uid,
    ...asked,
    requestKind: { group: own.group, version: own.version, kind: own.kind },
    requestResource: { group: own.group, version: own.version, resource: own.plural },
    ...(subresource === undefined ? {} : { requestSubResource: subresource }),
    ...(name === '' ? {} : { name }),
    ...(namespace ? { namespace } : {}),
    operation,
    userInfo: user,
    object: inForm(object, kind, own),
    oldObject: inForm(oldObject, kind, own),
    dryRun,
    options: {
      apiVersion: 'meta.k8s.io/v1',
      kind: optionsKind[operation],
      ...(dryRun ? { dryRun: ['All'] } : {}),
    },
  };
}

function inForm(object: Readonly<DynamicObject> | undefined, kind: Kind, own: Kind): unknown {
  if (object === undefined) return null;
  return kind === own || !kind.storage ? object : kind.storage.fromStorage(object);
}

export const reviewOf = (request: ReviewRequest): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request,
});

export interface ReviewResponse {
  readonly allowed: boolean;
  readonly status: { message?: string; reason?: string; code?: number } | undefined;
  /** Operations of a JSON patch. */
  readonly patch: unknown;
  readonly warnings: readonly string[];
  readonly auditAnnotations: Readonly<Record<string, string>>;
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** @throws Error that says what the answer lacks. */
export function readReview(answer: unknown, uid: string): ReviewResponse {
  const fail = (why: string): never => {
    throw new Error(`expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview: ${why}`);
  };
  if (!isObject(answer)) return fail('the answer is no object');
  if (answer['kind'] !== 'AdmissionReview' || answer['apiVersion'] !== 'admission.k8s.io/v1')
    fail(`got ${String(answer['apiVersion'])}, Kind=${String(answer['kind'])}`);
  const { response } = answer;
  if (!isObject(response)) return fail('response was absent');
  if (response['uid'] !== uid)
    fail(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'])}`);
  const { allowed, patch, patchType, warnings, auditAnnotations } = response;
  if (typeof allowed !== 'boolean') return fail('response.allowed is neither true nor false');
  let operations: unknown;
  if (patch !== undefined && patch !== null && patch !== '') {
    if (patchType !== 'JSONPatch') fail(`invalid patchType ${JSON.stringify(patchType)}, must be JSONPatch`);
    try {
      operations = JSON.parse(Buffer.from(String(patch), 'base64').toString());
    } catch {
      fail('response.patch is no JSON in base64');
    }
  } else if (patchType !== undefined && patchType !== null && patchType !== '')
    fail('response.patchType without a patch');
  const status = isObject(response['status']) ? response['status'] : undefined;
  return {
    allowed,
    status: status && {
      ...(text(status['message']) === undefined ? {} : { message: text(status['message'])! }),
      ...(text(status['reason']) === undefined ? {} : { reason: text(status['reason'])! }),
      ...(typeof status['code'] === 'number' ? { code: status['code'] } : {}),
    },
    patch: operations,
    warnings: Array.isArray(warnings) ? warnings.filter(each => typeof each === 'string').slice(0, 32) : [],
    auditAnnotations: isObject(auditAnnotations)
      ? Object.fromEntries(Object.entries(auditAnnotations).map(([key, value]) => [key, String(value)]))
      : {},
  };
}

/** A webhook's refusal as the client sees it: never a success, whatever the webhook says of itself. */
export function denied(webhook: string, status: ReviewResponse['status']): StatusError {
  const by = `admission webhook ${JSON.stringify(webhook)} denied the request`;
  const why = status?.message || status?.reason;
  const code = status?.code !== undefined && status.code >= 400 && status.code < 600 ? Math.trunc(status.code) : 400;
  return new StatusError(status?.reason ?? '', why ? `${by}: ${why}` : `${by} without explanation`, { code });
}

export const noDryRun = (webhook: string): StatusError =>
  badRequest(`admission webhook ${JSON.stringify(webhook)} does not support dry run`);
