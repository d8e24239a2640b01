/** Snapshots: save, check and restore a whole store. */
export {
  checkDirectory,
  type DirectoryReport,
  type RepairReport,
  repairDirectory,
  salvageDirectory,
} from './check-directory.js';
export { type RestoreDirectoryOptions, restoreDirectory } from './restore-directory.js';
export {
  defaultRevisionBump,
  type LoadedSnapshot,
  loadSnapshot,
  type SnapshotStatus,
  saveSnapshot,
  snapshotStatus,
} from './snapshot.js';
