/**
 * JSON Web Tokens (RFC 7519) signed as JWS in compact form, with node:crypto. Only asymmetric algorithms: `none` and HMAC are not known, so a
 * public key can never be taken for a shared secret. What a token says counts only after `verifySignature` answered true; times
 * are the caller's to check.
 */
import { constants, createHash, type KeyObject, sign, verify } from 'node:crypto';
import { promisify } from 'node:util';

const signAsync = promisify(sign) as (algorithm: string | null, data: Buffer, key: object) => Promise<Buffer>;
const verifyAsync = promisify(verify) as (
  algorithm: string | null,
  data: Buffer,
  key: object,
  signature: Buffer,
) => Promise<boolean>;

interface Algorithm {
  readonly hash: string | null;
  readonly keyType: string;
  readonly curve?: string;
  readonly options?: Readonly<Record<string, unknown>>;
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const ecdsa = { dsaEncoding: 'ieee-p1363' };
const algorithms: Readonly<Record<string, Algorithm>> = {
  RS256: { hash: 'sha256', keyType: 'rsa' },
  RS384: { hash: 'sha384', keyType: 'rsa' },
  RS512: { hash: 'sha512', keyType: 'rsa' },
  PS256: { hash: 'sha256', keyType: 'rsa', options: pss },
  PS384: { hash: 'sha384', keyType: 'rsa', options: pss },
  PS512: { hash: 'sha512', keyType: 'rsa', options: pss },
  ES256: { hash: 'sha256', keyType: 'ec', curve: 'prime256v1', options: ecdsa },
  ES384: { hash: 'sha384', keyType: 'ec', curve: 'secp384r1', options: ecdsa },
  ES512: { hash: 'sha512', keyType: 'ec', curve: 'secp521r1', options: ecdsa },
};

/** A token as it was read; nothing of it is proven. */
export interface ReadToken {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

/** A token of Kubernetes is about 1 KB; of an identity provider with many groups, some more. */
const longestToken = 16 * 1024;
const base64url = /^[A-Za-z0-9_-]+$/;

/** Undefined: not a token in this form. */
export function readToken(text: string): ReadToken | undefined {
  if (text.length > longestToken) return undefined;
  const parts = text.split('.');
  if (parts.length !== 3 || !parts.every(part => base64url.test(part))) return undefined;
  const [head, body, tail] = parts as [string, string, string];
  try {
    const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>;
    const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>;
    // Extensions that must be understood are not.
    if (!isObject(header) || !isObject(claims) || header['crit'] !== undefined) return undefined;
    const { alg, kid } = header;
    if (typeof alg !== 'string' || (kid !== undefined && typeof kid !== 'string')) return undefined;
    return {
      algorithm: alg,
      keyId: kid,
      claims,
      signed: Buffer.from(`${head}.${body}`),
      signature: Buffer.from(tail, 'base64url'),
    };
  } catch {
    return undefined;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether this key signed it; false also for a key that is not one of the token's algorithm. */
export async function verifySignature(token: ReadToken, key: KeyObject): Promise<boolean> {
  const algorithm = Object.hasOwn(algorithms, token.algorithm) ? algorithms[token.algorithm]! : undefined;
  if (algorithm === undefined || key.asymmetricKeyType !== algorithm.keyType) return false;
  if (algorithm.curve !== undefined && key.asymmetricKeyDetails?.namedCurve !== algorithm.curve) return false;
  return verifyAsync(algorithm.hash, token.signed, { key, ...algorithm.options }, token.signature).catch(() => false);
}

/** The algorithm that a key signs with: RS256, or that of an elliptic curve. Undefined for keys of other kinds. */
export function algorithmOf(key: KeyObject): string | undefined {
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const found = Object.entries(algorithms).find(
    ([, { keyType, curve: needed }]) => keyType === key.asymmetricKeyType && needed === curve,
  );
  return found?.[0];
}

/** A token with these claims. @throws Error for a key that signs no tokens */
export async function signToken(claims: object, key: KeyObject, keyId: string): Promise<string> {
  const alg = algorithmOf(key);
  if (alg === undefined) throw new Error(`a key of type ${key.asymmetricKeyType} signs no tokens`);
  const { hash, options } = algorithms[alg]!;
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg, kid: keyId })}.${part(claims)}`;
  const signature = await signAsync(hash, Buffer.from(signed), { key, ...options });
  return `${signed}.${signature.toString('base64url')}`;
}

/** As kube-apiserver names its keys: SHA-256 of the public key in DER, base64url. */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64url');
}
