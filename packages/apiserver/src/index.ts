/** @orbitkit/apiserver: store and serve objects. The storage contract and its back ends stand in `@orbitkit/apiserver/storage`. */
export * from './authentication/index.js';
export * from './authorization/index.js';
export {
  type Authority,
  type AuthorityOptions,
  type ClientCertificateOptions,
  certificateFingerprint,
  createAuthority,
  type IssuedCertificate,
  issueClientCertificate,
  issueServingCertificate,
  type KeyPair,
  type ServingCertificateOptions,
  servingHosts,
} from './pki/index.js';
