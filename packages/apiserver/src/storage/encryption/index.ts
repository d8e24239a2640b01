/** Encryption at rest. */
export { type EncryptionRules, encryptionRules } from './configuration.js';
export {
  type EncryptedStore,
  encryptedStore,
  isEncryptedStore,
  type RewriteResult,
} from './encrypted-store.js';
export { addEncryptionKey, ensureEncryptionFile, readEncryptionFile } from './key-file.js';
