/** Who did what: the audit log. */
export { type Auditor, auditor } from './auditor.js';
export { type LogFileOptions, openLogFile } from './log-file.js';
export { type AuditPolicy, readAuditPolicy } from './policy.js';
