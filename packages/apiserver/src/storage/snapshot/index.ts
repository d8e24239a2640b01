/** Snapshots: save, check and restore a whole store. */
export { type RestoreDirectoryOptions, restoreDirectory } from './restore-directory.js';
export {
  defaultRevisionBump,
  type LoadedSnapshot,
  loadSnapshot,
  type SnapshotStatus,
  saveSnapshot,
  snapshotStatus,
} from './snapshot.js';
