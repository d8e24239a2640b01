/** Who asks. */
export { adminToken, adminUser, type KubeconfigOptions, kubeconfig, writeKubeconfig } from './admin.js';
export {
  type Authenticator,
  anonymousUser,
  anyAuthenticator,
  type Credentials,
  type IdentifyOptions,
  identifyWith,
} from './authenticator.js';
export { bearerTokens, readTokenFile } from './bearer-token.js';
export { clientCertificates } from './client-certificate.js';
export { bearerToken } from './token-digest.js';
