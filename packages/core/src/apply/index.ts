/** Server-side apply, apart from any server: typed merge, field sets and who owns them. */
export { clientSideApplyManager, fieldsAppliedByClient, keepLastApplied } from './client-side-apply.js';
export { applyConflict } from './conflict.js';
export { type FieldSet, fieldSet } from './field-set.js';
export { type FieldManagers, isReset, managersText, readManagers, sameOwnership } from './managed-fields.js';
export {
  applyConfiguration,
  type ConvertVersion,
  recordCreate,
  recordUpdate,
  type VersionedObject,
  type Writer,
} from './ownership.js';
export { fieldElement } from './path-element.js';
export { typeProblems } from './typed-value.js';
