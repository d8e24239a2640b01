/**
 * Service-account tokens: issued for an account (and perhaps bound to a pod, secret or node), recognised by signature, issuer, audience
 * and time, and only as long as the account, and what the token is bound to, exist with the same uid.
 *
 * Whoever keeps a verified token asks `holds()` on each use: a deleted pod's token ends with the pod. Form of the claims: upstream `pkg/serviceaccount/claims.go` (1.33).
 */
import { randomUUID } from 'node:crypto';
import type { Clock, UserInfo } from '@orbitkit/core';
import type { ObjectBytes } from '../../registry/contract.js';
import { algorithmOf, type ReadToken, readToken, signToken, verifySignature } from '../json-web-token.js';
import { serviceAccountGroups, serviceAccountUser } from './service-account-user.js';
import type { SigningKeys } from './signing-keys.js';

/** A token with a signing time in the future by less than this is taken: clocks differ. */
const leewaySeconds = 60;
/** A pod on its way out keeps its token this long after its deletion time (upstream: 60 s). */
const goneLeewayMs = 60_000;

export interface ObjectRef {
  readonly name: string;
  readonly uid: string;
}

export interface BoundClaims {
  readonly pod?: ObjectRef | undefined;
  readonly node?: ObjectRef | undefined;
  readonly secret?: ObjectRef | undefined;
}

export interface IssueOptions extends BoundClaims {
  readonly namespace: string;
  readonly serviceAccount: ObjectRef;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  /** Seconds after which a client that still uses the token is to be told; longer tokens than asked for carry it. */
  readonly warnAfterSeconds?: number | undefined;
}

export interface ObjectReader {
  /** The newest that this server knows, without waiting. */
  peek(resource: { group: string; plural: string }, key: { namespace?: string; name: string }): ObjectBytes | undefined;
  /** The same, certain. */
  read(
    resource: { group: string; plural: string },
    key: { namespace?: string; name: string },
  ): Promise<ObjectBytes | undefined>;
}

export interface VerifiedToken {
  readonly user: UserInfo;
  /** Those of the asked ones that the token is for. */
  readonly audiences: readonly string[];
  /** Milliseconds since 1970. */
  readonly expires: number;
  /** Whether what the token rests on is as it was when it was verified; by memory alone. */
  holds(): boolean;
}

export interface ServiceAccountTokens {
  readonly issuer: string;
  readonly apiAudiences: readonly string[];
  issue(options: IssueOptions): Promise<{ token: string; expirationTimestamp: number }>;
  /**
   * Undefined: not a token of this issuer. A string: a token of this issuer that does not hold, and why.
   * @param audiences one of them must be among the token's.
   */
  verify(token: string, audiences: readonly string[]): Promise<VerifiedToken | string | undefined>;
}

export interface ServiceAccountTokensOptions {
  readonly issuer: string;
  readonly apiAudiences: readonly string[];
  readonly keys: SigningKeys;
  readonly objects: ObjectReader;
  readonly clock: Clock;
}

const resources = {
  serviceaccount: { group: '', plural: 'serviceaccounts' },
  pod: { group: '', plural: 'pods' },
  secret: { group: '', plural: 'secrets' },
  node: { group: '', plural: 'nodes' },
} as const;

interface Claims {
  iss: string;
  sub: string;
  aud: string[] | string;
  exp: number;
  iat: number;
  nbf: number;
  jti?: string;
  'kubernetes.io'?: {
    namespace?: string;
    serviceaccount?: ObjectRef;
    pod?: ObjectRef;
    node?: ObjectRef;
    secret?: ObjectRef;
    warnafter?: number;
  };
}

/** Something that must exist for a token to hold. `seen` is the version that was looked at last: the same one need not be read again. */
interface Condition {
  readonly what: keyof typeof resources;
  readonly key: { namespace?: string; name: string };
  readonly uid: string;
  seen: ObjectBytes | undefined;
}

interface Known {
  readonly user: UserInfo;
  readonly audiences: readonly string[];
  readonly notBefore: number;
  readonly expires: number;
  readonly conditions: readonly Condition[];
}

export function serviceAccountTokens(options: ServiceAccountTokensOptions): ServiceAccountTokens {
  const { issuer, apiAudiences, keys, objects, clock } = options;

  function claimsOf(of: IssueOptions, now: number): Claims {
    const { pod, node, secret } = of;
    return {
      aud: [...of.audiences],
      exp: now + of.expirationSeconds,
      iat: now,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: of.namespace,
        ...(node ? { node } : {}),
        ...(pod ? { pod } : {}),
        ...(secret ? { secret } : {}),
        serviceaccount: of.serviceAccount,
        ...(of.warnAfterSeconds === undefined ? {} : { warnafter: now + of.warnAfterSeconds }),
      },
      nbf: now,
      sub: serviceAccountUser(of.namespace, of.serviceAccount.name),
    };
  }

  async function verified(token: ReadToken): Promise<Known | string> {
    const candidates = token.keyId === undefined ? await keys.verification() : [await keys.byId(token.keyId)];
    let signedByUs = false;
    for (const candidate of candidates)
      signedByUs ||=
        candidate !== undefined &&
        token.algorithm === algorithmOf(candidate.key) &&
        (await verifySignature(token, candidate.key));
    if (!signedByUs) return 'the signature is not of a key of this cluster';
    return knownOf(token.claims as unknown as Claims) ?? 'the claims are not those of a service account';
  }

  /** Undefined when it holds, else why not. */
  async function refusal(condition: Condition): Promise<string | undefined> {
    const { what, key, uid } = condition;
    let object = objects.peek(resources[what], key);
    if (object === undefined || object !== condition.seen) {
      let found = object && identityOf(object);
      // The cache may be a moment behind: only the store knows that something is not there.
      if (found === undefined || found.uid !== uid) {
        object = await objects.read(resources[what], key);
        found = object && identityOf(object);
      }
      if (found === undefined) return `the ${what} ${JSON.stringify(key.name)} does not exist`;
      if (found.uid !== uid) return `the ${what} ${JSON.stringify(key.name)} is another one now`;
      condition.seen = object;
    }
    const { deletionTimestamp } = object!.object().metadata;
    if (
      what !== 'node' &&
      deletionTimestamp !== undefined &&
      clock.now() > Date.parse(deletionTimestamp) + goneLeewayMs
    )
      return `the ${what} ${JSON.stringify(key.name)} has been deleted`;
    return undefined;
  }

  return {
    issuer,
    apiAudiences,
    async issue(of) {
      const key = await keys.current();
      const now = Math.floor(clock.now() / 1000);
      const claims = claimsOf(of, now);
      return { token: await signToken(claims, key.key, key.id), expirationTimestamp: claims.exp * 1000 };
    },
    async verify(text, audiences) {
      const token = readToken(text);
      if (token === undefined || token.claims['iss'] !== issuer) return undefined;
      const entry = await verified(token);
      if (typeof entry === 'string') return entry;
      const now = clock.now() / 1000;
      if (now >= entry.expires) return 'the token has expired';
      if (now < entry.notBefore - leewaySeconds) return 'the token is not valid yet';
      const common = entry.audiences.filter(audience => audiences.includes(audience));
      if (common.length === 0) return `the token is for ${JSON.stringify(entry.audiences)}`;
      for (const condition of entry.conditions) {
        const why = await refusal(condition);
        if (why !== undefined) return why;
      }
      const { conditions } = entry;
      return {
        user: entry.user,
        audiences: common,
        expires: entry.expires * 1000,
        holds: () => conditions.every(each => objects.peek(resources[each.what], each.key) === each.seen),
      };
    },
  };
}

function identityOf(object: ObjectBytes): { uid: string } {
  return { uid: object.object().metadata.uid };
}

/** Undefined: not the claims of a service account. */
function knownOf(claims: Claims): Known | undefined {
  const { namespace, serviceaccount, pod, node, secret } = claims['kubernetes.io'] ?? {};
  const audiences = [claims.aud].flat();
  if (typeof namespace !== 'string' || !isRef(serviceaccount)) return undefined;
  if (claims.sub !== serviceAccountUser(namespace, serviceaccount.name)) return undefined;
  if (!audiences.every(each => typeof each === 'string') || typeof claims.exp !== 'number') return undefined;
  for (const bound of [pod, node, secret]) if (bound !== undefined && !isRef(bound)) return undefined;
  const condition = (what: Condition['what'], ref: ObjectRef): Condition => ({
    what,
    key: what === 'node' ? { name: ref.name } : { namespace, name: ref.name },
    uid: ref.uid,
    seen: undefined,
  });
  const key = 'authentication.kubernetes.io';
  const extra: Record<string, string[]> = {
    ...(typeof claims.jti === 'string' ? { [`${key}/credential-id`]: [`JTI=${claims.jti}`] } : {}),
    ...(node ? { [`${key}/node-name`]: [node.name], [`${key}/node-uid`]: [node.uid] } : {}),
    ...(pod ? { [`${key}/pod-name`]: [pod.name], [`${key}/pod-uid`]: [pod.uid] } : {}),
  };
  return {
    user: {
      username: claims.sub,
      uid: serviceaccount.uid,
      groups: [...serviceAccountGroups(namespace), 'system:authenticated'],
      ...(Object.keys(extra).length > 0 ? { extra } : {}),
    },
    audiences,
    notBefore: typeof claims.nbf === 'number' ? claims.nbf : 0,
    expires: claims.exp,
    conditions: [
      condition('serviceaccount', serviceaccount),
      ...(pod ? [condition('pod', pod)] : []),
      ...(secret ? [condition('secret', secret)] : []),
      // A pod's node is told for information; only a token that is bound to the node itself ends with it.
      ...(node && !pod ? [condition('node', node)] : []),
    ],
  };
}

const isRef = (value: unknown): value is ObjectRef =>
  typeof (value as ObjectRef | undefined)?.name === 'string' && typeof (value as ObjectRef).uid === 'string';
