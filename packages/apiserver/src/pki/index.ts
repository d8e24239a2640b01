/** Certificates of the cluster: its authority, and what it signs. */
export {
  type Authority,
  type AuthorityOptions,
  type ClientCertificateOptions,
  createAuthority,
  type IssuedCertificate,
  issueClientCertificate,
  issueServingCertificate,
  type ServingCertificateOptions,
  servingHosts,
} from './authority.js';
export { certificateFingerprint, type KeyPair } from './certificate.js';
export {
  type CertificateRequestFacts,
  type IssueRequest,
  makeCertificateRequest,
  readCertificateRequest,
  signCertificateRequest,
} from './certificate-request.js';
export { makeSecretDirectory, readSecretFile, writeFileWhole } from './secret-file.js';
