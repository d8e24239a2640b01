/** Server-side apply, apart from any server: typed merge, field sets and who owns them. */
export {
  clientSideApplyManager,
  fieldsAppliedByClient,
  keepLastApplied,
  lastAppliedAnnotation,
} from './client-side-apply.js';
export { applyConflict } from './conflict.js';
export { type FieldSet, fieldSet } from './field-set.js';
export {
  type FieldManager,
  type FieldManagers,
  isReset,
  readManagers,
  sameOwnership,
} from './managed-fields.js';
export {
  type ApplyOptions,
  type ApplyOutcome,
  applyConfiguration,
  type ConvertVersion,
  type FieldConflict,
  recordUpdate,
  sameVersionOnly,
  type VersionedObject,
  type Writer,
} from './ownership.js';
export { fieldElement } from './path-element.js';
export { type TypeProblem, typeProblems } from './typed-value.js';
export { zeroObject } from './zero-object.js';
