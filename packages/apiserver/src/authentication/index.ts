/** Who asks. */
export { adminToken, adminTokenFile, adminUser, type KubeconfigOptions, kubeconfig, writeKubeconfig } from './admin.js';
export {
  type Authenticator,
  anonymousUser,
  anyAuthenticator,
  authenticated,
  type Credentials,
  type IdentifyOptions,
  identifyWith,
} from './authenticator.js';
export { bearerTokens, readTokenFile } from './bearer-token.js';
export { clientCertificates } from './client-certificate.js';
export { certificatesIn, type FrontProxyOptions, frontProxy, frontProxyHeaders } from './front-proxy.js';
export { identityReviews } from './identity-reviews.js';
export { type OidcIssuer, oidcTokens } from './oidc/oidc.js';
export { issuerDiscovery } from './service-account/issuer-discovery.js';
export { signingKeyFiles } from './service-account/signing-key-files.js';
export { type SigningKeys, signingKeys } from './service-account/signing-keys.js';
export { tokenRequest } from './service-account/token-request.js';
export { type ServiceAccountTokens, serviceAccountTokens } from './service-account/tokens.js';
export { type TokenSource, verifiedTokens } from './token-cache.js';
export { bearerToken } from './token-digest.js';
