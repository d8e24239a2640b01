/**
 * The one error family of orbitkit: what a Kubernetes API answers instead of an object.
 *
 * A `StatusError` carries the machine-readable `reason`, the HTTP `code` and the `details` of `meta/v1.Status`. Errors are
 * branded with a registered symbol and told apart by predicates, never by `instanceof`: two copies of this package in
 * one process must agree. Codes and reasons: apimachinery `api/errors`.
 */
import type { Status, StatusCause, StatusDetails } from '../kinds/generated/types/meta-v1.js';

/** apimachinery `metav1.StatusReason`. A server may send others. */
export type StatusReason =
  | 'BadRequest'
  | 'Unauthorized'
  | 'Forbidden'
  | 'NotFound'
  | 'MethodNotAllowed'
  | 'NotAcceptable'
  | 'AlreadyExists'
  | 'Conflict'
  | 'Gone'
  | 'Expired'
  | 'RequestEntityTooLarge'
  | 'UnsupportedMediaType'
  | 'Invalid'
  | 'TooManyRequests'
  | 'InternalError'
  | 'ServerTimeout'
  | 'ServiceUnavailable'
  | 'Timeout';

/** HTTP code of each reason. */
export const codeOfReason: Readonly<Record<StatusReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  MethodNotAllowed: 405,
  NotAcceptable: 406,
  AlreadyExists: 409,
  Conflict: 409,
  Gone: 410,
  Expired: 410,
  RequestEntityTooLarge: 413,
  UnsupportedMediaType: 415,
  Invalid: 422,
  TooManyRequests: 429,
  InternalError: 500,
  ServerTimeout: 500,
  ServiceUnavailable: 503,
  Timeout: 504,
};

/** apimachinery `metav1.CauseType`: the `reason` of one cause among the details. */
export type CauseType =
  | 'FieldValueNotFound'
  | 'FieldValueRequired'
  | 'FieldValueDuplicate'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

/** One thing wrong with one field. `message` is complete without the field's path, e.g. `Invalid value: "x": must be …`. */
export interface FieldError {
  /** Path as Kubernetes writes it: `spec.containers[0].name`. */
  field: string;
  type: CauseType;
  message: string;
}

const brand: unique symbol = Symbol.for('orbitkit.StatusError') as never;

/** `code` is by default the one that belongs to the reason, and 500 for reasons that are not known. */
export interface StatusErrorOptions {
  /** HTTP status. */
  code?: number;
  details?: StatusDetails;
  /** `metadata.continue` of an expired list: a token to go on with, inconsistently. */
  continue?: string;
  cause?: unknown;
}

/** What an API answered instead of an object. Tell it with {@link isStatusError} and its relatives, never by `instanceof`. */
export class StatusError extends Error {
  readonly [brand] = true;
  /** Empty when the server gave none. */
  readonly reason: StatusReason | (string & {});
  readonly code: number;
  readonly details: StatusDetails;
  readonly continue: string | undefined;

  constructor(reason: StatusReason | (string & {}), message: string, options: StatusErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StatusError';
    this.reason = reason;
    this.code = options.code ?? codeOfReason[reason as StatusReason] ?? 500;
    this.details = options.details ?? {};
    this.continue = options.continue;
  }

  /** The `Status` object that stands for this error on the wire. */
  toStatus(): Status {
    return {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: this.continue === undefined ? {} : { continue: this.continue },
      status: 'Failure',
      message: this.message,
      ...(this.reason ? { reason: this.reason } : {}),
      ...(Object.keys(this.details).length > 0 ? { details: this.details } : {}),
      code: this.code,
    } as Status;
  }

  static fromStatus(status: Partial<Status>, httpCode = 500): StatusError {
    return new StatusError(status.reason ?? '', status.message ?? `the server answered ${status.code ?? httpCode}`, {
      code: status.code ?? httpCode,
      ...(status.details ? { details: status.details } : {}),
      ...(status.metadata?.continue ? { continue: status.metadata.continue } : {}),
    });
  }
}

/** Whether it is a StatusError, of any copy of this package. */
export function isStatusError(error: unknown): error is StatusError {
  return typeof error === 'object' && error !== null && (error as Record<symbol, unknown>)[brand] === true;
}

const hasReason = (error: unknown, ...reasons: string[]): error is StatusError =>
  isStatusError(error) && reasons.includes(error.reason);

/** 404: there is no such object, or no such kind. */
export const isNotFound = (error: unknown): error is StatusError => hasReason(error, 'NotFound');
/** The object has changed since it was read (read again), or others own a field that is applied. */
export const isConflict = (error: unknown): error is StatusError => hasReason(error, 'Conflict');
/** The name is taken. */
export const isAlreadyExists = (error: unknown): error is StatusError => hasReason(error, 'AlreadyExists');
/** 422: the object breaks rules of its kind; `details.causes` names the fields. */
export const isInvalid = (error: unknown): error is StatusError => hasReason(error, 'Invalid');
/** 403: this user may not, or admission refused. */
export const isForbidden = (error: unknown): error is StatusError => hasReason(error, 'Forbidden');
/** The version asked for is compacted away: list again. */
export const isExpired = (error: unknown): error is StatusError => hasReason(error, 'Expired', 'Gone');

/** What an error says of the resource it speaks of: `deployments.apps`. */
interface ResourceName {
  group: string;
  plural: string;
}
const qualified = (name: string, group: string): string => (group ? `${name}.${group}` : name);
const detailsOf = (resource: ResourceName, name: string): StatusDetails => ({
  name,
  ...(resource.group ? { group: resource.group } : {}),
  kind: resource.plural,
});

/** 404: `deployments.apps "web" not found`. */
export function notFound(resource: ResourceName, name: string): StatusError {
  return new StatusError('NotFound', `${qualified(resource.plural, resource.group)} "${name}" not found`, {
    details: detailsOf(resource, name),
  });
}

/** 409, reason AlreadyExists: a create of a name that is taken. */
export function alreadyExists(resource: ResourceName, name: string): StatusError {
  return new StatusError('AlreadyExists', `${qualified(resource.plural, resource.group)} "${name}" already exists`, {
    details: detailsOf(resource, name),
  });
}

/** 409, reason Conflict: `why` ends the sentence "Operation cannot be fulfilled on …". */
export function conflict(resource: ResourceName, name: string, why: string): StatusError {
  return new StatusError(
    'Conflict',
    `Operation cannot be fulfilled on ${qualified(resource.plural, resource.group)} "${name}": ${why}`,
    { details: detailsOf(resource, name) },
  );
}

/** The object was written by someone else since it was read. */
export function staleVersion(resource: ResourceName, name: string): StatusError {
  return conflict(
    resource,
    name,
    'the object has been modified; please apply your changes to the latest version and try again',
  );
}

/** 400: a request that cannot be understood. What is understood and not allowed is `Invalid`. */
export function badRequest(message: string): StatusError {
  return new StatusError('BadRequest', message);
}

/** 422 with one cause per field; `kind` is the Kind's name, not the plural. */
export function invalid(
  kind: { group: string; kind: string },
  name: string,
  errors: readonly FieldError[],
): StatusError {
  const texts = errors.map(error => `${error.field}: ${error.message}`);
  const summary = texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`;
  const causes: StatusCause[] = errors.map(error => ({
    reason: error.type,
    message: error.message,
    field: error.field,
  }));
  return new StatusError('Invalid', `${qualified(kind.kind, kind.group)} "${name}" is invalid: ${summary}`, {
    details: { name, ...(kind.group ? { group: kind.group } : {}), kind: kind.kind, causes },
  });
}
