/**
 * The reviews that an API server sends to webhooks, and their answers: `admission.k8s.io/v1` AdmissionReview and `apiextensions.k8s.io/v1`
 * ConversionReview. Shapes and codes: k8s.io/api `admission/v1`, `apiextensions/v1`.
 */
import { isStatusError, type Json, type KubeObject, type UserInfo } from '@orbitkit/core';
import { messageOf } from '../refusals.js';
import { jsonDiff } from './json-diff.js';

/** One write that is asked about. */
export interface AdmissionQuestion<T extends KubeObject> {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** As it is to be. Of a deletion: what there is. A mutating webhook changes it, or returns another. */
  readonly object: T;
  /** As it is, of an update or a deletion. */
  readonly oldObject: T | undefined;
  readonly name: string;
  readonly namespace: string | undefined;
  readonly subresource: string | undefined;
  readonly user: UserInfo;
  /** Nothing is going to be stored: have no effects either. */
  readonly dryRun: boolean;
  /** Tells the person who asks; shown whether or not the request is allowed. */
  warn(text: string): void;
  /** An annotation of the server's audit log. */
  audit(name: string, value: string): void;
}

/** Nothing, or why not. An error that is thrown refuses too: a StatusError with its code and reason, another as an internal error. */
export type Validate<T extends KubeObject> = (question: AdmissionQuestion<T>) => Promise<string | void> | string | void;
/** The object that it shall be; nothing when the one given was changed, or is right. */
export type Mutate<T extends KubeObject> = (question: AdmissionQuestion<T>) => Promise<T | void> | T | void;
/** The object in the wanted version; its metadata stays. */
export type Convert = (object: KubeObject, apiVersion: string) => Promise<KubeObject> | KubeObject;

interface AdmissionRequest {
  uid: string;
  operation: AdmissionQuestion<any>['operation'];
  name?: string;
  namespace?: string;
  subResource?: string;
  userInfo?: Partial<UserInfo>;
  object?: any;
  oldObject?: any;
  dryRun?: boolean;
}

interface Review<R> {
  apiVersion: string;
  kind: string;
  request: R;
}

/** A body that is no review of that kind. The server gets code 400. */
export class NoReview extends Error {}

function reviewIn<R>(body: unknown, apiVersion: string, kind: string): Review<R> {
  const review = body as Partial<Review<{ uid?: unknown }>> | null;
  if (review?.kind !== kind || review.apiVersion !== apiVersion)
    throw new NoReview(`${kind} of ${apiVersion} is expected`);
  if (typeof review.request?.uid !== 'string') throw new NoReview('request.uid is required');
  return review as Review<R>;
}

export async function answerAdmission(
  body: unknown,
  decide: { validate: Validate<any> } | { mutate: Mutate<any> },
  failed: (error: unknown) => void,
): Promise<object> {
  const { apiVersion, kind, request } = reviewIn<AdmissionRequest>(body, 'admission.k8s.io/v1', 'AdmissionReview');
  const warnings: string[] = [];
  const auditAnnotations: Record<string, string> = {};
  const { uid, operation, name = '', namespace, subResource, userInfo = {}, dryRun = false } = request;
  const given = request.object ?? request.oldObject;
  const before = 'mutate' in decide ? (structuredClone(given) as Json) : undefined;
  const question: AdmissionQuestion<any> = {
    operation,
    object: given,
    oldObject: request.oldObject ?? undefined,
    name,
    namespace,
    subresource: subResource,
    user: { username: '', groups: [], ...userInfo },
    dryRun,
    warn: text => void warnings.push(text),
    audit: (key, value) => {
      auditAnnotations[key] = value;
    },
  };
  const answer = (response: object): object => ({
    apiVersion,
    kind,
    response: {
      uid,
      ...response,
      ...(warnings.length > 0 ? { warnings } : {}),
      ...(Object.keys(auditAnnotations).length > 0 ? { auditAnnotations } : {}),
    },
  });
  try {
    if ('validate' in decide) {
      const refusal = await decide.validate(question);
      if (refusal === undefined) return answer({ allowed: true });
      return answer({ allowed: false, status: { message: refusal, reason: 'Forbidden', code: 403 } });
    }
    const after = (await decide.mutate(question)) ?? question.object;
    const patch = operation === 'DELETE' ? [] : jsonDiff(before!, after as Json);
    if (patch.length === 0) return answer({ allowed: true });
    const text = Buffer.from(JSON.stringify(patch)).toString('base64');
    return answer({ allowed: true, patchType: 'JSONPatch', patch: text });
  } catch (error) {
    if (isStatusError(error)) {
      const { message, reason, code } = error;
      return answer({ allowed: false, status: { message, reason, code } });
    }
    failed(error);
    const message = messageOf(error);
    return answer({ allowed: false, status: { message, reason: 'InternalError', code: 500 } });
  }
}

interface ConversionRequest {
  uid: string;
  desiredAPIVersion: string;
  objects: KubeObject[];
}

export async function answerConversion(
  body: unknown,
  converterOf: (kind: string, apiVersion: string) => Convert | undefined,
  failed: (error: unknown) => void,
): Promise<object> {
  const { apiVersion, kind, request } = reviewIn<ConversionRequest>(
    body,
    'apiextensions.k8s.io/v1',
    'ConversionReview',
  );
  const { uid, desiredAPIVersion, objects } = request;
  const answer = (response: object) => ({ apiVersion, kind, response: { uid, ...response } });
  if (!Array.isArray(objects) || typeof desiredAPIVersion !== 'string')
    throw new NoReview('request.objects and request.desiredAPIVersion are required');
  try {
    const convertedObjects: KubeObject[] = [];
    for (const object of objects) {
      if (object.apiVersion === desiredAPIVersion) {
        convertedObjects.push(object);
        continue;
      }
      const convert = converterOf(object.kind, object.apiVersion);
      if (!convert) throw new Error(`nobody converts ${object.kind} of ${object.apiVersion}`);
      const { metadata, kind: kindOf } = object;
      const converted = await convert(object, desiredAPIVersion);
      convertedObjects.push({
        ...converted,
        apiVersion: desiredAPIVersion,
        kind: kindOf,
        metadata: converted.metadata ?? metadata,
      });
    }
    return answer({ result: { status: 'Success' }, convertedObjects });
  } catch (error) {
    failed(error);
    const message = messageOf(error);
    return answer({ result: { status: 'Failure', message }, convertedObjects: [] });
  }
}
