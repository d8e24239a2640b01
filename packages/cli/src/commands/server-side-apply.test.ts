import { expect, it } from 'vitest';
import { movedOwnership } from './server-side-apply.js';

const entry = (manager: string, operation: string, fieldsV1: object, more: object = {}) =>
  ({ manager, operation, apiVersion: 'v1', fieldsType: 'FieldsV1', fieldsV1, ...more }) as never;

it('ownership of client-side writers becomes ours, joined with what we apply already; others keep theirs', () => {
  const other = entry('scaler', 'Update', { 'f:spec': { 'f:replicas': {} } });
  const status = entry('kubectl-client-side-apply', 'Update', { 'f:status': {} }, { subresource: 'status' });
  const moved = movedOwnership(
    [
      entry('me', 'Apply', { 'f:data': { 'f:z': {} } }),
      entry('kubectl-client-side-apply', 'Update', { 'f:data': { '.': {}, 'f:a': {} } }),
      entry('orbit', 'Update', { 'f:metadata': { 'f:labels': {} } }),
      other,
      status,
    ],
    'me',
  );
  expect(moved).toEqual([
    entry('me', 'Apply', { 'f:data': { '.': {}, 'f:a': {}, 'f:z': {} }, 'f:metadata': { 'f:labels': {} } }),
    other,
    status,
  ]);
});

it('nothing moves where no client-side writer owns anything', () => {
  expect(movedOwnership([entry('me', 'Apply', {}), entry('orbit', 'Apply', {})], 'me')).toBeUndefined();
});
