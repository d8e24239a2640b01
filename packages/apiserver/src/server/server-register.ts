/**
 * Which servers of one store live: each keeps an entry with its address that ends when it is not renewed, so that a killed server is gone
 * after 15 s. Key and times are those of upstream's lease reconciler (`/masterleases`, TTL 15 s), renewed a little more often.
 *
 * A store that one process alone can open has no register: its server is the only one.
 */
import { isLeaseNotFound, type Store } from '../storage/contract.js';
import { decodeValue, encodeValueText } from '../storage/value.js';

export interface ServerAddress {
  /** IPv4. */
  readonly ip: string;
  readonly port: number;
}

const prefix = '/orbitkit/masterleases/';
const ttlMs = 15_000;
/** How often to renew, and to look at the others. */
export const renewMs = 5_000;

export interface ServerRegister {
  /** Says that this server lives, and who else does: ordered, with this one. */
  renew(): Promise<readonly ServerAddress[]>;
  /** Takes this server out, and says who is left. */
  withdraw(): Promise<readonly ServerAddress[]>;
}

export function serverRegister(store: Store, own: ServerAddress): ServerRegister {
  if (!store.shared) return { renew: async () => [own], withdraw: async () => [] };
  const key = `${prefix}${own.ip}:${own.port}`;
  let lease: bigint | undefined;
  let withdrawn = false;
  /** One thing at a time: a renewal that is under way must not undo the withdrawal. */
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };

  async function announce(): Promise<void> {
    if (withdrawn) return;
    if (lease !== undefined) {
      try {
        await store.keepAlive(lease);
        // Somebody may have removed the entry, or have restored the store.
        if ((await store.get(key)).entry !== undefined) return;
      } catch (error) {
        if (!isLeaseNotFound(error)) throw error;
      }
    }
    lease = undefined;
    const granted = await store.grantLease(ttlMs);
    await store.txn([], { type: 'put', key, value: encodeValueText(JSON.stringify(own)), lease: granted });
    lease = granted;
  }

  async function living(): Promise<ServerAddress[]> {
    const { entries } = await store.list(prefix);
    return entries.map(({ value }) => JSON.parse(decodeValue(value).toString()) as ServerAddress);
  }

  return {
    renew: () =>
      inTurn(async () => {
        await announce();
        return living();
      }),
    withdraw() {
      withdrawn = true;
      return inTurn(async () => {
        const held = lease;
        lease = undefined;
        await store.txn([], { type: 'delete', key });
        if (held !== undefined)
          await store.revokeLease(held).catch(error => {
            if (!isLeaseNotFound(error)) throw error;
          });
        return living();
      });
    },
  };
}
