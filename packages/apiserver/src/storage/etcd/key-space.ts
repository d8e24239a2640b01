/**
 * Where the store's keys stand in etcd. Under `PREFIX/k` the keys of the contract, as they are; under `PREFIX/m/` what the store
 * itself keeps: leases, the turn of the compactor, markers. One range holds both, so that one watch sees every write of every
 * server in order.
 *
 *     PREFIX/k<key>                         an entry
 *     PREFIX/m/compact                      whose turn it is to compact, and up to where
 *     PREFIX/m/offset                       what is added to etcd's revisions (after a restore)
 *     PREFIX/m/sync                         a marker: its event tells how far a watch is
 *     PREFIX/m/lease/<id>                   exists as long as the lease does; the only key on the lease in etcd
 *     PREFIX/m/lease-keys/<id>/<key>        the key was put with that lease, by the write of the same revision
 */

export interface KeySpace {
  /** Every key of the store, and the first key behind them. */
  readonly all: { readonly key: Buffer; readonly end: Buffer };
  readonly compact: Buffer;
  readonly offset: Buffer;
  readonly sync: Buffer;
  data(key: string): Buffer;
  /** The keys under a prefix; `after`: only those behind this key. */
  range(prefix: string, after?: string): { readonly key: Buffer; readonly end: Buffer };
  lease(id: bigint): Buffer;
  readonly leases: { readonly key: Buffer; readonly end: Buffer };
  leaseKey(id: bigint, key: string): Buffer;
  leaseKeys(id?: bigint): { readonly key: Buffer; readonly end: Buffer };
  /** What a key in etcd is. */
  parse(
    key: Buffer,
  ):
    | { readonly type: 'data'; readonly key: string }
    | { readonly type: 'lease'; readonly id: bigint }
    | { readonly type: 'lease-key'; readonly id: bigint; readonly key: string }
    | { readonly type: 'offset' }
    | { readonly type: 'other' };
}

/** The first key that does not begin with the prefix. The prefix does not end with 0xff. */
function prefixEnd(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let i = end.length - 1; i >= 0; i--) {
    if (end[i]! < 0xff) {
      end[i]!++;
      return end.subarray(0, i + 1);
    }
  }
  return Buffer.from([0]);
}

const idText = (id: bigint): string => id.toString(16).padStart(16, '0');

export function keySpace(prefix: string): KeySpace {
  const root = `${prefix}/`;
  const dataStart = Buffer.from(`${root}k`);
  const leaseStart = Buffer.from(`${root}m/lease/`);
  const leaseKeysStart = Buffer.from(`${root}m/lease-keys/`);
  const offset = Buffer.from(`${root}m/offset`);
  const under = (start: Buffer) => ({ key: start, end: prefixEnd(start) });
  const begins = (key: Buffer, start: Buffer) =>
    key.length >= start.length && key.compare(start, 0, start.length, 0, start.length) === 0;
  return {
    all: under(Buffer.from(root)),
    compact: Buffer.from(`${root}m/compact`),
    offset,
    sync: Buffer.from(`${root}m/sync`),
    data: key => Buffer.from(`${root}k${key}`),
    range(under, after) {
      const start = Buffer.from(`${root}k${under}`);
      const end = prefixEnd(start);
      if (after === undefined) return { key: start, end };
      const behind = Buffer.from(`${root}k${after}\0`);
      return { key: behind.compare(start) > 0 ? behind : start, end };
    },
    lease: id => Buffer.from(`${root}m/lease/${idText(id)}`),
    leases: under(leaseStart),
    leaseKey: (id, key) => Buffer.from(`${root}m/lease-keys/${idText(id)}/${key}`),
    leaseKeys: id => under(id === undefined ? leaseKeysStart : Buffer.from(`${root}m/lease-keys/${idText(id)}/`)),
    parse(key) {
      if (begins(key, dataStart)) return { type: 'data', key: key.toString('utf8', dataStart.length) };
      if (begins(key, leaseKeysStart)) {
        const id = key.toString('latin1', leaseKeysStart.length, leaseKeysStart.length + 16);
        return { type: 'lease-key', id: BigInt(`0x${id}`), key: key.toString('utf8', leaseKeysStart.length + 17) };
      }
      if (begins(key, leaseStart)) {
        return { type: 'lease', id: BigInt(`0x${key.toString('latin1', leaseStart.length)}`) };
      }
      return { type: key.equals(offset) ? 'offset' : 'other' };
    },
  };
}
