/**
 * Users of an OpenID Connect issuer, by their ID tokens. Options and rules are kube-apiserver's `--oidc-*`: the token must be of this issuer
 * and for this client, in its time, and signed by one of the issuer's keys; a claim names the user, another the groups.
 */
import { type Clock, StatusError, type UserInfo } from '@orbitkit/core';
import { readToken, verifySignature } from '../json-web-token.js';
import type { TokenSource } from '../token-cache.js';
import { issuerKeys } from './issuer-keys.js';

/** An issuer and how its claims are read, with upstream's defaults. */
export interface OidcIssuer {
  /** `https://…`, exactly as the issuer names itself in its tokens. */
  issuerURL: string;
  /** The audience that tokens must be for. */
  clientID: string;
  /** Default `sub`. */
  usernameClaim?: string;
  /** Put before user names. Default: `ISSUER#` unless the claim is `email`; `-` for none. */
  usernamePrefix?: string;
  /** Absent: users have no groups. */
  groupsClaim?: string;
  groupsPrefix?: string;
  /** Claims that must have these values. */
  requiredClaims?: Readonly<Record<string, string>>;
  /** PEM of the authority of the issuer's server. Default: the system's. */
  certificateAuthority?: string;
  /** Default RS256 alone. */
  signingAlgorithms?: readonly string[];
}

const leewaySeconds = 10;

/** @throws TypeError for an issuer that is not https or a client id that is empty. */
export function oidcTokens(options: OidcIssuer, { clock }: { clock: Clock }): TokenSource {
  const { issuerURL, clientID, usernameClaim = 'sub', groupsClaim, groupsPrefix = '', requiredClaims = {} } = options;
  if (!issuerURL.startsWith('https://')) throw new TypeError(`oidc: issuerURL ${issuerURL} must begin with https://`);
  if (clientID === '') throw new TypeError('oidc: clientID must not be empty');
  const given = options.usernamePrefix;
  const prefix = given === '-' ? '' : (given ?? (usernameClaim === 'email' ? '' : `${issuerURL}#`));
  const algorithms = options.signingAlgorithms ?? ['RS256'];
  const keys = issuerKeys({ issuer: issuerURL, ca: options.certificateAuthority, clock });
  const refuse = (why: string) => new StatusError('Unauthorized', `oidc: ${why}`);

  return {
    async authenticate(text) {
      const token = readToken(text);
      if (token === undefined || token.claims['iss'] !== issuerURL) return undefined;
      const { claims } = token;
      if (!algorithms.includes(token.algorithm)) throw refuse(`tokens signed with ${token.algorithm} are not taken`);
      const now = clock.now() / 1000;
      const expires = claims['exp'];
      if (typeof expires !== 'number' || now >= expires + leewaySeconds) throw refuse('the token has expired');
      if (typeof claims['nbf'] === 'number' && now < claims['nbf'] - leewaySeconds)
        throw refuse('the token is not valid yet');
      if (![claims['aud']].flat().includes(clientID)) throw refuse(`the token is not for ${clientID}`);
      let signed = false;
      for (const key of await keys.forKeyId(token.keyId)) signed ||= await verifySignature(token, key);
      if (!signed) throw refuse('none of the keys of the issuer has signed the token');
      for (const [name, value] of Object.entries(requiredClaims))
        if (claims[name] !== value) throw refuse(`the claim ${name} is not ${JSON.stringify(value)}`);
      return { user: userOf(claims), expires: expires * 1000 };
    },
  };

  function userOf(claims: Readonly<Record<string, unknown>>): UserInfo {
    const name = claims[usernameClaim];
    if (typeof name !== 'string' || name === '') throw refuse(`the claim ${usernameClaim} names no user`);
    if (usernameClaim === 'email' && claims['email_verified'] !== undefined && claims['email_verified'] !== true)
      throw refuse('the e-mail address is not verified');
    return { username: prefix + name, groups: groupsOf(claims) };
  }

  function groupsOf(claims: Readonly<Record<string, unknown>>): string[] {
    if (groupsClaim === undefined || claims[groupsClaim] === undefined) return [];
    const groups = [claims[groupsClaim]].flat();
    if (!groups.every(group => typeof group === 'string'))
      throw refuse(`the claim ${groupsClaim} is not a list of names`);
    return groups.map(group => groupsPrefix + group);
  }
}
