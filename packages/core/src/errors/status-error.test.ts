import { describe, expect, it } from 'vitest';
import {
  alreadyExists,
  badRequest,
  codeOfReason,
  conflict,
  invalid,
  isAlreadyExists,
  isConflict,
  isExpired,
  isForbidden,
  isInvalid,
  isNotFound,
  isStatusError,
  notFound,
  StatusError,
  type StatusReason,
  staleVersion,
} from './status-error.js';

const deployments = { group: 'apps', plural: 'deployments' };
const pods = { group: '', plural: 'pods' };

describe('StatusError', () => {
  it('carries reason, code and details, and becomes a Status that becomes it again', () => {
    const error = notFound(deployments, 'web');
    expect(error.toStatus()).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'deployments.apps "web" not found',
      reason: 'NotFound',
      details: { name: 'web', group: 'apps', kind: 'deployments' },
      code: 404,
    });
    expect(StatusError.fromStatus(error.toStatus()).toStatus()).toEqual(error.toStatus());
    const expired = new StatusError('Expired', 'too old', { continue: 'token' });
    expect(StatusError.fromStatus(expired.toStatus())).toMatchObject({ code: 410, continue: 'token' });
    expect(StatusError.fromStatus({}, 418)).toMatchObject({
      reason: '',
      code: 418,
      message: 'the server answered 418',
    });
  });

  it('has the code of its reason', () => {
    for (const [reason, code] of Object.entries(codeOfReason))
      expect(new StatusError(reason as StatusReason, '').code).toBe(code);
    expect(new StatusError('Unheard', '').code).toBe(500);
    expect(new StatusError('NotFound', '', { code: 410 }).code).toBe(410);
  });

  it('is told by its brand, whichever copy of the package made it', () => {
    const foreign = Object.assign(new Error('from another copy'), {
      reason: 'Conflict',
      code: 409,
      [Symbol.for('orbitkit.StatusError')]: true,
    });
    expect([isStatusError(foreign), isConflict(foreign), isNotFound(foreign)]).toEqual([true, true, false]);
    for (const other of [new Error('x'), null, undefined, 'x', { reason: 'NotFound' }])
      expect([isStatusError(other), isNotFound(other)]).toEqual([false, false]);
  });

  it('answers to its predicates', () => {
    expect(isAlreadyExists(alreadyExists(pods, 'a'))).toBe(true);
    expect(isConflict(conflict(pods, 'a', 'why'))).toBe(true);
    expect([isExpired(new StatusError('Expired', '')), isExpired(new StatusError('Gone', ''))]).toEqual([true, true]);
    expect(isForbidden(new StatusError('Forbidden', ''))).toBe(true);
    expect(isInvalid(invalid({ group: '', kind: 'Pod' }, 'a', []))).toBe(true);
  });
});

describe('messages', () => {
  it('name the resource as Kubernetes does', () => {
    expect(alreadyExists(pods, 'a').message).toBe('pods "a" already exists');
    expect(staleVersion(deployments, 'd').message).toBe(
      'Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your changes to the latest version and try again',
    );
    expect(badRequest('no').code).toBe(400);
  });

  it('list what is wrong with fields, one cause each', () => {
    const required = {
      field: 'spec.containers[0].name',
      type: 'FieldValueRequired',
      message: 'Required value',
    } as const;
    const one = invalid({ group: 'apps', kind: 'Deployment' }, 'd', [required]);
    expect(one.message).toBe('Deployment.apps "d" is invalid: spec.containers[0].name: Required value');
    expect(one.code).toBe(422);
    expect(one.details).toEqual({
      name: 'd',
      group: 'apps',
      kind: 'Deployment',
      causes: [{ reason: 'FieldValueRequired', message: 'Required value', field: 'spec.containers[0].name' }],
    });
    const two = invalid({ group: '', kind: 'Pod' }, 'p', [required, { ...required, field: 'x' }]);
    expect(two.message).toBe('Pod "p" is invalid: [spec.containers[0].name: Required value, x: Required value]');
  });
});
