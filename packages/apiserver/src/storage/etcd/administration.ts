/**
 * What goes through the etcd3 client as it is: users and tokens, leases, compaction, alarms, sizes. Its watcher and its fluent reads and
 * writes are not used (the watcher dies when its revision is compacted, and says nothing of where to go on).
 *
 * etcd3 is an optional peer: it is loaded when an etcd store is opened. A call that fails for lack of a connection is made again
 * with a new client, since an old one may never recover from some of grpc's errors.
 */
import { randomInt } from 'node:crypto';
import type { Etcd3, IOptions } from 'etcd3';
import { StoreUnavailableError } from '../contract.js';
import type { ChannelTls } from './channel.js';

export interface AdministrationOptions {
  readonly hosts: readonly string[];
  readonly tls?: ChannelTls | undefined;
  readonly auth?: { readonly username: string; readonly password: string } | undefined;
}

export interface Administration {
  /** @returns the lease's id and its time in seconds, which etcd may have made longer. */
  grantLease(seconds: number): Promise<{ id: bigint; seconds: number }>;
  /** False when there is no such lease. */
  revokeLease(id: bigint): Promise<boolean>;
  compact(revision: bigint): Promise<void>;
  /** `member 8e9e05c52164694d: NOSPACE`, for messages. Undefined: none, or they cannot be asked for. */
  alarms(): Promise<string | undefined>;
  /** Bytes that the newest state and its history take. */
  size(): Promise<number>;
  /** A token for the user. */
  token(): Promise<string>;
  close(): void;
}

const callMs = 5_000;

export async function administration(options: AdministrationOptions): Promise<Administration> {
  const etcd3 = await load();
  let client: Etcd3 | undefined;
  let closed = false;

  const open = (): Etcd3 => {
    if (closed) throw new StoreUnavailableError('the etcd store is closed: open it again to use it');
    client ??= new etcd3.Etcd3(clientOptions(options));
    return client;
  };
  async function call<T>(work: (client: Etcd3) => Promise<T>): Promise<T> {
    const used = open();
    try {
      return await work(used);
    } catch (error) {
      if (closed || !(error instanceof Error) || !etcd3.isRecoverableError(error)) throw error;
      if (client === used) {
        client = undefined;
        used.close();
      }
      return await work(open());
    }
  }

  return {
    async grantLease(seconds) {
      // etcd3 reads ids as doubles: one that etcd chose (63 bits) would come back rounded.
      const ID = randomInt(1, 2 ** 48 - 1);
      const { TTL } = await call(used => used.leaseClient.leaseGrant({ ID, TTL: seconds }));
      return { id: BigInt(ID), seconds: Number(TTL) };
    },
    async revokeLease(id) {
      try {
        await call(used => used.leaseClient.leaseRevoke({ ID: String(id) }));
        return true;
      } catch (error) {
        if (/lease not found/.test(String(error))) return false;
        throw error;
      }
    },
    async compact(revision) {
      await call(used => used.kv.compact({ revision: String(revision) }));
    },
    async alarms() {
      try {
        const { alarms } = await call(used => used.maintenance.alarm({ action: etcd3.AlarmAction.Get }));
        return alarms.map(({ memberID, alarm }) => `member ${BigInt(memberID).toString(16)}: ${alarm}`).join(', ');
      } catch {
        return undefined;
      }
    },
    async size() {
      const { dbSize } = await call(used => used.maintenance.status());
      return Number(dbSize);
    },
    async token() {
      const { username, password } = options.auth!;
      const { token } = await call(used => used.auth.authenticate({ name: username, password }));
      return token;
    },
    close() {
      closed = true;
      client?.close();
      client = undefined;
    },
  };
}

async function load(): Promise<typeof import('etcd3')> {
  try {
    return await import('etcd3');
  } catch (error) {
    throw new StoreUnavailableError(
      `the etcd store needs the package etcd3, which cannot be loaded (${error instanceof Error ? error.message : String(error)}); install it: npm install etcd3`,
    );
  }
}

function clientOptions({ hosts, tls, auth }: AdministrationOptions): IOptions {
  return {
    hosts: [...hosts],
    dialTimeout: callMs,
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + callMs }),
    ...(auth === undefined ? {} : { auth }),
    ...(tls?.ca === undefined
      ? {}
      : {
          credentials: {
            rootCertificate: Buffer.from(tls.ca),
            ...(tls.key === undefined ? {} : { privateKey: Buffer.from(tls.key) }),
            ...(tls.cert === undefined ? {} : { certChain: Buffer.from(tls.cert) }),
          },
        }),
  };
}
