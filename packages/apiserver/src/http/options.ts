/**
 * The options of a request, read from its query (and for a delete from its body) and checked before anything is done.
 *
 * Errors name the options type, as clients know it from Kubernetes: `CreateOptions.meta.k8s.io "" is invalid: …`
 * (apimachinery `meta/v1/validation`). A parameter that cannot be a number is a BadRequest.
 */
import { badRequest, type FieldError, type FieldValidation, invalid } from '@orbitkit/core';
import type { DeleteOptions, ListOptions, WatchOptions, WriteOptions } from '../registry/contract.js';
import type { ApiRequest } from './exchange.js';
import type { Query } from './query.js';

const group = 'meta.k8s.io';
type OptionsKind = 'CreateOptions' | 'UpdateOptions' | 'PatchOptions' | 'DeleteOptions';

const quoted = (values: readonly string[]) => values.map(value => JSON.stringify(value)).join(', ');
const notSupported = (field: string, value: unknown, supported: readonly string[]): FieldError => ({
  field,
  type: 'FieldValueNotSupported',
  message: `Unsupported value: ${JSON.stringify(value)}: supported values: ${quoted(supported)}`,
});

/** Longest field manager name (apimachinery `FieldManagerMaxLength`). */
const fieldManagerMaxLength = 128;

/** `kubectl` of `kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0`: the default name of a writer. */
export function fieldManagerOf(userAgent: string | undefined): string {
  const prefix = (userAgent ?? '').split('/')[0]!.trim();
  const printable = prefix.replace(/[^\x20-\x7e]/g, '');
  return printable.slice(0, fieldManagerMaxLength) || 'unknown';
}

function dryRunErrors(values: readonly string[]): FieldError[] {
  const wrong = values.filter(value => value !== 'All');
  return wrong.length > 0 ? [notSupported('dryRun', wrong.length === 1 ? wrong[0] : wrong, ['All'])] : [];
}

const fieldValidations: readonly string[] = ['', 'Ignore', 'Strict', 'Warn'];

/** Options of create, update and patch. `applyPatch`: the body is a server-side apply. */
export function writeOptions(
  kind: Exclude<OptionsKind, 'DeleteOptions'>,
  request: ApiRequest,
  applyPatch = false,
): WriteOptions {
  const { query } = request;
  const errors: FieldError[] = [];
  const dryRun = query.all('dryRun').filter(value => value !== '');
  errors.push(...dryRunErrors(dryRun));

  const fieldValidation = query.get('fieldValidation');
  if (fieldValidation !== undefined && !fieldValidations.includes(fieldValidation))
    errors.push(notSupported('fieldValidation', fieldValidation, fieldValidations));

  const named = query.get('fieldManager');
  if (named !== undefined && named.length > fieldManagerMaxLength)
    errors.push({
      field: 'fieldManager',
      type: 'FieldValueTooLong',
      message: `Too long: may not be more than ${fieldManagerMaxLength} bytes`,
    });
  if (named !== undefined && /[^\x20-\x7e\u00a0-\uffff]/.test(named))
    errors.push({
      field: 'fieldManager',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(named)}: should only contain printable characters`,
    });
  if (applyPatch && !named)
    errors.push({
      field: 'fieldManager',
      type: 'FieldValueRequired',
      message: 'Required value: is required for apply patch',
    });
  if (kind === 'PatchOptions' && !applyPatch && query.has('force'))
    errors.push({
      field: 'force',
      type: 'FieldValueForbidden',
      message: 'Forbidden: may not be specified for non-apply patch',
    });
  if (errors.length > 0) throw invalid({ group, kind }, '', errors);

  return {
    ...(dryRun.length > 0 ? { dryRun: true } : {}),
    fieldManager: named || fieldManagerOf(request.headers['user-agent']),
    ...(fieldValidation !== undefined ? { fieldValidation: fieldValidation as FieldValidation } : {}),
    ...(applyPatch ? { force: query.flag('force') } : {}),
  };
}

function integer(query: Query, name: string): number | undefined {
  const text = query.get(name);
  if (text === undefined) return undefined;
  if (!/^[+-]?\d{1,18}$/.test(text))
    throw badRequest(`the query parameter ${name} must be a whole number, got ${JSON.stringify(text)}`);
  return Number(text);
}

export function listOptions(query: Query, namespace: string | undefined): ListOptions {
  const limit = integer(query, 'limit');
  return {
    namespace,
    labelSelector: query.get('labelSelector'),
    fieldSelector: query.get('fieldSelector'),
    // A negative limit means none (observed: the full list).
    limit: limit !== undefined && limit > 0 ? limit : undefined,
    continue: query.get('continue'),
    resourceVersion: query.get('resourceVersion'),
    resourceVersionMatch: query.get('resourceVersionMatch'),
    sendInitialEvents: query.has('sendInitialEvents') ? query.flag('sendInitialEvents') : undefined,
  };
}

/** @param name narrows the watch to one object (the legacy `/watch/…/{name}` paths). */
export function watchOptions(query: Query, namespace: string | undefined, name: string | undefined): WatchOptions {
  const timeoutSeconds = integer(query, 'timeoutSeconds');
  const fieldSelector = query.get('fieldSelector');
  const byName = name === undefined ? undefined : `metadata.name=${name}`;
  return {
    namespace,
    labelSelector: query.get('labelSelector'),
    fieldSelector:
      byName && fieldSelector && fieldSelector !== byName ? `${byName},${fieldSelector}` : (byName ?? fieldSelector),
    resourceVersion: query.get('resourceVersion'),
    resourceVersionMatch: query.get('resourceVersionMatch'),
    allowWatchBookmarks: query.flag('allowWatchBookmarks'),
    sendInitialEvents: query.has('sendInitialEvents') ? query.flag('sendInitialEvents') : undefined,
    timeoutSeconds: timeoutSeconds !== undefined && timeoutSeconds > 0 ? timeoutSeconds : undefined,
  };
}

const propagationPolicies = ['Background', 'Foreground', 'Orphan'];
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Options of a delete. What the body says wins over the query, which is read only when there is no body (apiserver `DeleteResource`).
 * @param body the parsed body, undefined when there is none.
 */
export function deleteOptions(query: Query, body: unknown): DeleteOptions {
  const raw: Record<string, unknown> = {};
  if (body === undefined || body === null) {
    const grace = integer(query, 'gracePeriodSeconds');
    if (grace !== undefined) raw['gracePeriodSeconds'] = grace;
    if (query.get('propagationPolicy')) raw['propagationPolicy'] = query.get('propagationPolicy');
    if (query.has('orphanDependents')) raw['orphanDependents'] = query.flag('orphanDependents');
    const dryRun = query.all('dryRun').filter(value => value !== '');
    if (dryRun.length > 0) raw['dryRun'] = dryRun;
  } else if (isObject(body)) {
    if (body['kind'] !== undefined && body['kind'] !== '' && body['kind'] !== 'DeleteOptions')
      throw badRequest(`the body of a delete must be DeleteOptions, got kind ${JSON.stringify(body['kind'])}`);
    Object.assign(raw, body);
  } else throw badRequest('the body of a delete must be a DeleteOptions object');

  const typed = <T>(name: string, is: (value: unknown) => value is T): T | undefined => {
    const value = raw[name];
    if (value === undefined || value === null) return undefined;
    if (!is(value)) throw badRequest(`DeleteOptions: ${name} has the wrong type: ${JSON.stringify(value)}`);
    return value;
  };
  const isString = (value: unknown): value is string => typeof value === 'string';
  const gracePeriodSeconds = typed('gracePeriodSeconds', (v): v is number => Number.isSafeInteger(v));
  const propagationPolicy = typed('propagationPolicy', isString) || undefined;
  const orphanDependents = typed('orphanDependents', (v): v is boolean => typeof v === 'boolean');
  const dryRun = typed('dryRun', (v): v is string[] => Array.isArray(v) && v.every(isString)) ?? [];
  const preconditions = typed('preconditions', isObject);

  const errors: FieldError[] = [];
  if (propagationPolicy !== undefined && !propagationPolicies.includes(propagationPolicy))
    errors.push(notSupported('propagationPolicy', propagationPolicy, propagationPolicies));
  if (propagationPolicy !== undefined && orphanDependents !== undefined)
    errors.push({
      field: 'propagationPolicy',
      type: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(propagationPolicy)}: orphanDependents and deletionPropagation cannot be both set`,
    });
  errors.push(...dryRunErrors(dryRun));
  if (errors.length > 0) throw invalid({ group, kind: 'DeleteOptions' }, '', errors);

  return {
    gracePeriodSeconds,
    propagationPolicy,
    orphanDependents,
    ...(preconditions
      ? {
          preconditions: {
            uid: isString(preconditions['uid']) ? preconditions['uid'] : undefined,
            resourceVersion: isString(preconditions['resourceVersion']) ? preconditions['resourceVersion'] : undefined,
          },
        }
      : {}),
    ...(dryRun.length > 0 ? { dryRun: true } : {}),
  };
}
