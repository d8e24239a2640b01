/** The hot calls of etcd, typed: Range, Txn, LeaseKeepAlive. */
import type { CallOptions, Channel } from './channel.js';
import { GrpcError, grpcCodes } from './grpc-messages.js';
import {
  keepAliveRequest,
  type RangeAnswer,
  type RangeRequest,
  rangeRequest,
  readKeepAliveAnswer,
  readRangeAnswer,
  readTxnAnswer,
  type TxnAnswer,
  type TxnRequest,
  txnRequest,
} from './messages.js';

export class Kv {
  constructor(private readonly channel: Channel) {}

  /** From a quorum: it sees every write that was acknowledged, by whichever member. */
  async range(request: RangeRequest, signal?: AbortSignal): Promise<RangeAnswer> {
    const options: CallOptions = { signal, repeatable: true };
    return readRangeAnswer(await this.channel.call('/etcdserverpb.KV/Range', rangeRequest(request), options));
  }

  /** `repeatable`: carried out twice, it does what it does once. */
  async txn(request: TxnRequest, repeatable = false): Promise<TxnAnswer> {
    return readTxnAnswer(await this.channel.call('/etcdserverpb.KV/Txn', txnRequest(request), { repeatable }));
  }

  /** Seconds left; 0: there is no such lease. */
  async keepAlive(lease: bigint): Promise<number> {
    const answer = await this.channel.call('/etcdserverpb.Lease/LeaseKeepAlive', keepAliveRequest(lease), {
      repeatable: true,
    });
    return readKeepAliveAnswer(answer);
  }

  /** The pages of a range as of one revision. */
  async *pages(
    { key, end }: { readonly key: Buffer; readonly end: Buffer },
    options: { limit: number; keysOnly?: boolean; revision?: bigint },
  ): AsyncGenerator<RangeAnswer, void, void> {
    let from = key;
    let { revision } = options;
    for (;;) {
      const page = await this.range({ ...options, key: from, rangeEnd: end, revision });
      revision ??= page.revision;
      yield page;
      const last = page.entries[page.entries.length - 1];
      if (last === undefined || page.count <= page.entries.length) return;
      from = Buffer.concat([last.key, zero]);
    }
  }
}
const zero = Buffer.from([0]);

export const isGrpcError = (error: unknown): error is GrpcError => error instanceof GrpcError;
export const wasNotFound = (error: unknown): boolean => isGrpcError(error) && error.code === grpcCodes.notFound;
