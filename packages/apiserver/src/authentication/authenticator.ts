/**
 * Who asks: from what a request carries to a user. Authenticators are asked in order; the first that recognises the request answers.
 *
 * An authenticator answers undefined when the request carries nothing of its kind or nothing that it knows; it throws only when it
 * cannot tell (its backend is down). Credentials that nobody recognises are refused with 401, never treated as anonymous
 * (apiserver: anonymous comes after a union that fails on an invalid token).
 */
import { StatusError, type UserInfo } from '@orbitkit/core';

/** What of a request can say who asks. */
export interface Credentials {
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** DER of the client's certificate, when TLS verified it against the client authority; undefined otherwise. */
  readonly certificate: Buffer | undefined;
}

/** One way to be known: tokens, certificates, headers of a proxy. */
export interface Authenticator {
  /** Undefined: not known here. */
  authenticate(credentials: Credentials): Promise<UserInfo | undefined>;
}

/** The first that knows the user. When none does and one could not tell, its error is thrown. */
export function anyAuthenticator(...authenticators: readonly Authenticator[]): Authenticator {
  return {
    async authenticate(credentials) {
      let failure: { error: unknown } | undefined;
      for (const authenticator of authenticators) {
        try {
          const user = await authenticator.authenticate(credentials);
          if (user !== undefined) return user;
        } catch (error) {
          failure ??= { error };
        }
      }
      if (failure !== undefined) throw failure.error;
      return undefined;
    },
  };
}

export interface IdentifyOptions {
  /** Requests without any credentials act as `system:anonymous`. Default: false, they are refused. */
  anonymous?: boolean;
}

export const authenticatedGroup = 'system:authenticated';
/** The same user is the same value each time: what is decided about it is kept by that. */
const complete = new WeakMap<UserInfo, UserInfo>();

/** The user in the group that all authenticated users are in. */
export function authenticated(user: UserInfo): UserInfo {
  if (user.groups.includes(authenticatedGroup) || user.username === anonymousUser.username) return user;
  let known = complete.get(user);
  if (known === undefined) {
    known = { ...user, groups: [...user.groups, authenticatedGroup] };
    complete.set(user, known);
  }
  return known;
}

/** Who carries no credentials, where that is allowed at all. Upstream's names. */
export const anonymousUser: UserInfo = { username: 'system:anonymous', groups: ['system:unauthenticated'] };

/**
 * What a server asks for each request: the user with the group that all authenticated users are in.
 * @throws StatusError Unauthorized
 */
export function identifyWith(
  authenticator: Authenticator,
  options: IdentifyOptions = {},
): (credentials: Credentials) => Promise<UserInfo> {
  return async credentials => {
    const user = await authenticator.authenticate(credentials);
    if (user !== undefined) return authenticated(user);
    if (
      options.anonymous &&
      credentials.headers['authorization'] === undefined &&
      credentials.certificate === undefined
    )
      return anonymousUser;
    throw new StatusError('Unauthorized', 'Unauthorized');
  };
}
