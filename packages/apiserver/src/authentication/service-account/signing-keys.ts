/**
 * The keys that sign service-account tokens: RSA 2048, made when first needed and kept in the store, where every server over it finds them:
 * a token of one is good at all others, also after a restart.
 *
 * One key signs. It is replaced `rotateAfterMs` after it began: its successor is published some time before it signs, so that who keeps the
 * key set for a while knows it by then, and all servers change over at the same moment. The older key's private half is thrown away, its
 * public half stays until the last token that it can have signed has expired. `rotate` does the same at once; with `revoke` older keys go
 * at once as well, and every token that they signed.
 *
 * What another server changed is seen at once where it matters (a token of an unknown key, the published key set), otherwise within
 * `refreshMs`. Reads of the store are shared by all who wait: strangers with made-up keys cost one read at a time.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Clock } from '@orbitkit/core';
import type { ServerSecret } from '../../storage/server-secret.js';
import { keyIdOf } from '../json-web-token.js';

const newKeyPair = promisify(generateKeyPair);
const hour = 60 * 60_000;
const day = 24 * hour;
/** A token lives a year at most: a retired key is kept a little longer. */
export const longestTokenMs = 365 * day;
const keptAfterMs = longestTokenMs + day;
const defaultRotateAfterMs = 90 * day;
/** Twice as long as the key set says that it may be kept. */
const announcedMs = 2 * hour;
const refreshMs = 30_000;
const modulusLength = 2048;
const attempts = 8;

export interface SigningKeysOptions {
  readonly record: ServerSecret<KeyRing>;
  readonly clock: Clock;
  /** Default 90 days. */
  readonly rotateAfterMs?: number | undefined;
}

/** Newest first. Times are milliseconds since 1970. */
export interface KeyRing {
  readonly keys: readonly {
    /** PEM. */
    readonly publicKey: string;
    /** PEM, PKCS#8; absent: it signs no more. */
    readonly privateKey?: string;
    readonly signsFrom: number;
  }[];
}

export interface VerificationKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** What an administrator sees of a key. */
export interface KeySummary {
  readonly id: string;
  readonly state: 'announced' | 'signing' | 'verifying';
  /** Milliseconds since 1970. Absent for keys in files. */
  readonly signsFrom?: number;
  /** When it is forgotten; the signing key has no such time yet. */
  readonly until?: number;
}

export interface SigningKeys {
  /** The key that signs now; rotated when its time has come. */
  current(): Promise<VerificationKey>;
  /** Public keys that count, of all servers: announced, signing, older ones. */
  verification(): Promise<readonly VerificationKey[]>;
  /** The public key with this id, if it is ours. */
  byId(id: string): Promise<VerificationKey | undefined>;
  summary(): Promise<readonly KeySummary[]>;
  /** Replaces the signing key now. What older keys signed stays valid, unless they are revoked. */
  rotate(options?: { revoke?: boolean }): Promise<void>;
}

interface Key extends VerificationKey {
  readonly signing: KeyObject | undefined;
  readonly signsFrom: number;
  /** Until when what it signed counts. */
  readonly until: number;
}

interface Known {
  readonly ring: KeyRing;
  readonly version: bigint;
  readonly keys: readonly Key[];
  readonly at: number;
}

export function signingKeys({ record, clock, rotateAfterMs = defaultRotateAfterMs }: SigningKeysOptions): SigningKeys {
  const leadMs = Math.min(announcedMs, rotateAfterMs / 10);
  let known: Known | undefined;
  let reading: Promise<Known> | undefined;
  let next: Promise<Known> | undefined;

  /** A reading that begins after this call: what others wrote before is in it. */
  function refreshed(): Promise<Known> {
    if (reading === undefined) {
      reading = load().finally(() => {
        reading = undefined;
      });
      return reading;
    }
    next ??= reading
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return refreshed();
      });
    return next;
  }

  async function load(): Promise<Known> {
    for (let attempt = 1; ; attempt++) {
      const { value, version } = await record.read();
      if (value !== undefined) return take(value, version);
      const ring = { keys: [await newKey(clock.now())] };
      if (!(await record.replace(ring, 0n)) && attempt >= attempts) throw contended();
    }
  }

  function take(ring: KeyRing, version: bigint): Known {
    if (known?.version === version) known = { ...known, at: clock.now() };
    else known = { ring, version, keys: keysOf(ring), at: clock.now() };
    return known;
  }

  /** What is known, not older than `refreshMs`; older when the store does not answer. */
  async function recent(): Promise<Known> {
    if (known === undefined) return refreshed();
    const old = known;
    return clock.now() - known.at < refreshMs ? known : refreshed().catch(() => old);
  }

  const living = ({ keys }: Known): readonly Key[] => {
    const now = clock.now();
    return keys.every(({ until }) => now < until) ? keys : keys.filter(({ until }) => now < until);
  };

  /** The ring as it should be now: undefined when it is. */
  async function due({ ring }: Known): Promise<KeyRing | undefined> {
    const now = clock.now();
    const [newest] = ring.keys;
    const wanted = tidy(ring, now);
    if (newest === undefined || now >= newest.signsFrom + rotateAfterMs - leadMs)
      return { keys: [await newKey(newest === undefined ? now : now + leadMs), ...wanted.keys] };
    return wanted === ring ? undefined : wanted;
  }

  async function maintained(): Promise<Known> {
    for (let attempt = 1; ; attempt++) {
      const from = await recent();
      const wanted = await due(from);
      if (wanted === undefined) return from;
      if ((await record.replace(wanted, from.version)) || attempt >= attempts) return refreshed();
      await refreshed();
    }
  }

  return {
    async current() {
      const { keys } = await maintained();
      const key = signingOf(keys, clock.now());
      if (key?.signing === undefined) throw new Error('none of the keys in the store can sign: rotate them');
      return { id: key.id, key: key.signing };
    },
    verification: async () => living(await refreshed()),
    async byId(id) {
      const found = living(await recent()).find(key => key.id === id);
      if (found !== undefined) return found;
      return living(await refreshed()).find(key => key.id === id);
    },
    async summary() {
      const now = clock.now();
      const from = await refreshed();
      const signing = signingOf(from.keys, now);
      return living(from).map(each => ({
        id: each.id,
        state: each === signing ? 'signing' : each.signsFrom > now ? 'announced' : 'verifying',
        signsFrom: each.signsFrom,
        ...(each.until === Infinity ? {} : { until: each.until }),
      }));
    },
    async rotate({ revoke = false } = {}) {
      const made = await newKey(clock.now());
      for (let attempt = 1; attempt <= attempts; attempt++) {
        const { ring, version } = await refreshed();
        // One that was announced has signed nothing: this one takes its place.
        const older = revoke ? [] : ring.keys.filter(({ signsFrom }) => signsFrom <= made.signsFrom);
        if (await record.replace(tidy({ keys: [made, ...older] }, made.signsFrom), version)) {
          await refreshed();
          return;
        }
      }
      throw contended();
    },
  };
}

/** The newest whose time has come. A server whose clock is behind may find only keys of the future: they are published, the first of them does. */
function signingOf(keys: readonly Key[], now: number): Key | undefined {
  const able = keys.filter(({ signing }) => signing !== undefined);
  return able.find(({ signsFrom }) => signsFrom <= now) ?? able.at(-1);
}

const contended = () => new Error('other servers change the signing keys all the time: try again');

async function newKey(signsFrom: number): Promise<KeyRing['keys'][number]> {
  const { publicKey, privateKey } = await newKeyPair('rsa', { modulusLength });
  return {
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }) as string,
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    signsFrom,
  };
}

/** When the tokens of the key at this place have all expired. */
function untilOf({ keys }: KeyRing, index: number): number {
  const successor = keys[index - 1];
  return successor === undefined ? Infinity : successor.signsFrom + keptAfterMs;
}

/** Without keys whose tokens have expired, and without private halves that sign no more; the same ring when there is nothing to do. */
function tidy(ring: KeyRing, now: number): KeyRing {
  const signing = ring.keys.findIndex(({ signsFrom }) => signsFrom <= now);
  const obsolete = ring.keys.some(
    ({ privateKey }, index) => (signing >= 0 && index > signing && privateKey) || untilOf(ring, index) <= now,
  );
  if (!obsolete) return ring;
  return {
    keys: ring.keys.flatMap((key, index) => {
      if (untilOf(ring, index) <= now) return [];
      if (signing < 0 || index <= signing) return [key];
      return [{ publicKey: key.publicKey, signsFrom: key.signsFrom }];
    }),
  };
}

const keysOf = (ring: KeyRing): Key[] =>
  ring.keys.map(({ publicKey, privateKey, signsFrom }, index) => {
    const key = createPublicKey(publicKey);
    const signing = privateKey === undefined ? undefined : createPrivateKey(privateKey);
    return { id: keyIdOf(key), key, signing, signsFrom, until: untilOf(ring, index) };
  });
