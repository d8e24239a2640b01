/** @orbitkit/apiserver/storage: the storage contract and its back ends. */
export * from './contract.js';
export { type EmbeddedStoreOptions, embeddedStore } from './embedded.js';
export {
  addEncryptionKey,
  type EncryptedStore,
  type EncryptionRules,
  encryptedStore,
  encryptionRules,
  ensureEncryptionFile,
  isEncryptedStore,
  type RewriteResult,
  readEncryptionFile,
} from './encryption/index.js';
export { type FileSystem, type LogFile, nodeFileSystem } from './log/file-system.js';
export { type MemoryStoreOptions, memoryStore } from './memory.js';
export {
  checkDirectory,
  type DirectoryReport,
  defaultRevisionBump,
  type LoadedSnapshot,
  loadSnapshot,
  type RepairReport,
  type RestoreDirectoryOptions,
  repairDirectory,
  restoreDirectory,
  type SnapshotStatus,
  salvageDirectory,
  saveSnapshot,
  snapshotStatus,
} from './snapshot/index.js';
export {
  decodeValue,
  encodeValue,
  encodeValueText,
  isValueFormatError,
  ValueFormatError,
  valueFlags,
  valueHeaderBytes,
} from './value.js';
