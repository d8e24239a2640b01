/**
 * Who may do what in one run of a server, put together: service-account tokens, the authorizers (masters, nodes, RBAC) over the watch cache,
 * the reviews, the admission plugins that belong to them, and the documents of the token issuer.
 *
 * Made before the resources (they take its plugins and reviews); `follow` connects it with their cache. A composer's own authorizer takes
 * the place of all of ours; a server that does not serve the kinds of RBAC lets in `system:masters` alone.
 */
import {
  type Clock,
  formatTime,
  isNotFound,
  type Kind,
  type KindRegistry,
  type UserInfo,
  unrecoverable,
} from '@orbitkit/core';
import type { AdmissionPlugin } from '../admission/contract.js';
import {
  type Authenticator,
  anyAuthenticator,
  authenticated,
  identityReviews,
  issuerDiscovery,
  type OidcIssuer,
  oidcTokens,
  type ServiceAccountTokens,
  serviceAccountTokens,
  signingKeyFiles,
  signingKeys,
  type TokenSource,
  tokenRequest,
  verifiedTokens,
} from '../authentication/index.js';
import type { ObjectReader } from '../authentication/service-account/tokens.js';
import {
  type Authorizer,
  accessReviews,
  allowMasters,
  anyAuthorizer,
  certificateRequestStrategy,
  certificateRequests,
  escalationCheck,
  NodeGraph,
  nodeAuthorizer,
  nodeRestriction,
  RoleIndex,
  rbacAuthorizer,
  rbacKinds,
  reconcileBootstrapPolicy,
} from '../authorization/index.js';
import type { ApiRequest, ApiResponse } from '../http/exchange.js';
import type { Resources } from '../registry/contract.js';
import { objectPath, resourceIdOf } from '../registry/storage-keys.js';
import type { Strategy } from '../registry/strategy.js';
import type { VirtualResources } from '../registry/virtual-resources.js';
import type { WatchCache } from '../registry/watch-cache.js';
import type { Store } from '../storage/contract.js';
import { serverSecret } from '../storage/server-secret.js';
import { signingKeyOperations } from './signing-key-operations.js';

export interface ServiceAccountOptions {
  /** Names this cluster in tokens. Default `https://kubernetes.default.svc.cluster.local`. */
  issuer?: string;
  /** Audiences that mean this API. Default: the issuer. */
  apiAudiences?: readonly string[];
  /** Where others find the keys. Default: `/openid/v1/jwks` of the address that the server listens on. */
  keySetURL?: string;
  /** A signing key is replaced after this long. Default 90 days; tokens that an older one signed stay valid. */
  rotateKeyAfterMs?: number;
  /** PEM of an RSA or EC (P-256, P-384, P-521) private key, mode 0600. Default: keys are made, kept in the store for all of its servers, and rotated. */
  signingKeyFile?: string;
  /** With `signingKeyFile`: PEM of further keys whose tokens are good. */
  keyFiles?: readonly string[];
}

export interface AccessControlOptions {
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  /** Keeps the signing keys, unless they are files. */
  readonly store: Store;
  readonly serviceAccounts?: ServiceAccountOptions | undefined;
  readonly oidc?: readonly OidcIssuer[] | undefined;
  /** In the place of masters, nodes and RBAC. */
  readonly authorization?: Authorizer | undefined;
  /** `https://HOST:PORT`, once it is known. */
  readonly url: () => string | undefined;
}

export interface AccessControl {
  readonly authorizer: Authorizer;
  /** Service-account tokens and those of OIDC issuers. */
  readonly tokens: Authenticator;
  /** Of every chain, whatever the composer's plugins are: they guard the rules themselves. */
  readonly admission: readonly AdmissionPlugin[];
  readonly strategies: Readonly<Record<string, Strategy>>;
  readonly documents: Readonly<Record<string, () => Promise<ApiResponse>>>;
  /** What administrators do with the signing keys, by path. */
  readonly operations: Readonly<Record<string, (request: ApiRequest) => Promise<ApiResponse>>>;
  /** @param known who else is recognised by a bearer token: for TokenReview. */
  virtual(known: () => Authenticator): VirtualResources;
  /** From now on decisions follow the cache. */
  follow(cache: WatchCache, resources: Resources): void;
  /** Creates and mends the bootstrap roles and bindings. */
  bootstrap(resources: Resources, signal: AbortSignal): Promise<void>;
}

const defaultIssuer = 'https://kubernetes.default.svc.cluster.local';

export function accessControl(options: AccessControlOptions): AccessControl {
  const { kinds, clock } = options;
  const {
    issuer = defaultIssuer,
    apiAudiences = [issuer],
    rotateKeyAfterMs,
    keySetURL,
    signingKeyFile,
    keyFiles,
  } = options.serviceAccounts ?? {};
  const objects = cachedObjects(kinds);
  const keys =
    signingKeyFile === undefined
      ? signingKeys({
          record: serverSecret(options.store, 'service-account-keys'),
          clock,
          rotateAfterMs: rotateKeyAfterMs,
        })
      : signingKeyFiles({ signingKeyFile, keyFiles });
  const serviceAccounts = serviceAccountTokens({ issuer, apiAudiences, keys, objects, clock });
  const tokens = verifiedTokens(
    [ofServiceAccounts(serviceAccounts), ...(options.oidc ?? []).map(each => oidcTokens(each, { clock }))],
    { clock },
  );

  const graph = new NodeGraph();
  const roles = new RoleIndex();
  const rbac = rbacAuthorizer(roles);
  const withRbac = options.authorization === undefined && rbacKinds(kinds) !== undefined;
  const authorizer =
    options.authorization ?? (withRbac ? anyAuthorizer(allowMasters(), nodeAuthorizer(graph), rbac) : allowMasters());

  return {
    authorizer,
    tokens,
    admission: [
      nodeRestriction(),
      certificateRequests(authorizer),
      ...(withRbac ? [escalationCheck(rbac, roles, authorizer)] : []),
    ],
    strategies: {
      'core/serviceaccounts': { actions: { token: tokenRequest(serviceAccounts, objects) } },
      'certificates.k8s.io/certificatesigningrequests': certificateRequestStrategy(() => formatTime(clock.now())),
    },
    documents: issuerDiscovery(issuer, keys, () => {
      const url = options.url();
      return keySetURL ?? (url === undefined ? undefined : `${url}/openid/v1/jwks`);
    }),
    operations: signingKeyOperations(keys),
    virtual: known => ({
      ...accessReviews(authorizer, withRbac ? rbac : undefined),
      ...identityReviews({
        apiAudiences,
        review: (token, audiences) => reviewed(token, audiences, known()),
      }),
    }),
    follow(cache, resources) {
      objects.connect(cache, resources);
      graph.follow(cache);
      roles.follow(cache);
    },
    async bootstrap(resources, signal) {
      // Files that cannot be used are found out now, not by the first pod that wants a token.
      if (signingKeyFile !== undefined)
        await keys.verification().catch(error => {
          throw unrecoverable(error);
        });
      if (withRbac) await reconcileBootstrapPolicy(resources, kinds, signal);
    },
  };

  async function reviewed(token: string, audiences: readonly string[], known: Authenticator) {
    const ours = await serviceAccounts.verify(token, audiences);
    if (typeof ours === 'object') return { user: ours.user, audiences: ours.audiences };
    if (typeof ours === 'string') return undefined;
    // Other tokens say nothing of audiences that the API could check: they are for the API.
    const common = audiences.filter(audience => apiAudiences.includes(audience));
    if (common.length === 0) return undefined;
    const user = await anyAuthenticator(known, tokens).authenticate({
      headers: { authorization: `Bearer ${token}` },
      certificate: undefined,
    });
    return user === undefined ? undefined : { user: authenticated(user), audiences: common };
  }
}

function ofServiceAccounts(tokens: ServiceAccountTokens): TokenSource {
  return {
    async authenticate(token) {
      const found = await tokens.verify(token, tokens.apiAudiences);
      return typeof found === 'object' ? found : undefined;
    },
  };
}

const reader: UserInfo = { username: 'system:apiserver', groups: ['system:masters'] };
const readMs = 10_000;

/** Reads of objects by the server itself, once it has resources. */
function cachedObjects(kinds: KindRegistry): ObjectReader & { connect(cache: WatchCache, resources: Resources): void } {
  let connected: { cache: WatchCache; resources: Resources } | undefined;
  return {
    connect(cache, resources) {
      connected = { cache, resources };
    },
    peek: (resource, key) =>
      connected?.cache.live ? connected.cache.peek(resourceIdOf(resource), objectPath(key)) : undefined,
    async read(resource, key) {
      const kind = kinds.kinds.find((each: Kind) => each.group === resource.group && each.plural === resource.plural);
      if (kind === undefined || connected === undefined) return undefined;
      const context = { user: reader, signal: AbortSignal.timeout(readMs), warn: () => undefined };
      return connected.resources.get(context, kind, key).catch(error => {
        if (isNotFound(error)) return undefined;
        throw error;
      });
    },
  };
}
