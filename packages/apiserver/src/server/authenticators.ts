/** Who is known to a server: which authenticators it asks, and in which order. */
import { unrecoverable } from '@orbitkit/core';
import {
  type Authenticator,
  adminUser,
  anyAuthenticator,
  bearerTokens,
  certificatesIn,
  clientCertificates,
  frontProxy,
} from '../authentication/index.js';
import type { AccessControl } from './access-control.js';
import type { ApiServerOptions } from './api-server-options.js';
import type { ServerCredentials } from './credentials.js';

/** Proxies first, then one's own, then those of every server. @throws Error (unrecoverable) when a front proxy could be anybody. */
export function authenticators(
  options: Pick<ApiServerOptions, 'authentication' | 'frontProxy'>,
  kept: ServerCredentials | undefined,
  control: AccessControl,
): Authenticator {
  const admin = kept === undefined ? [] : [bearerTokens([[kept.adminToken, adminUser]])];
  const proxy = proxies(options, kept);
  const certificates =
    proxy.length > 0 && kept ? clientCertificates({ authority: kept.authority.certificate }) : clientCertificates();
  const own = [...admin, certificates, control.tokens];
  return anyAuthenticator(...proxy, ...(options.authentication ? [options.authentication, ...own] : own));
}

/** An authority that signs other clients as well must not let each of them name whom it likes. */
function proxies(
  { frontProxy: given }: Pick<ApiServerOptions, 'frontProxy'>,
  kept: ServerCredentials | undefined,
): Authenticator[] {
  if (given === undefined || kept === undefined) return [];
  const [own] = certificatesIn(kept.authority.certificate);
  const shared = certificatesIn(given.clientAuthority).some(each => each.publicKey.equals(own!.publicKey));
  if (shared && !given.allowedNames?.length)
    throw unrecoverable(
      new Error(
        "frontProxy: its authority is the cluster's own, so that every client could name any user; give it another one, or the allowedNames of its proxies",
      ),
    );
  return [frontProxy(given)];
}
