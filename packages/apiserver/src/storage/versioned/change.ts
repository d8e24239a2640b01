/** What a commit consists of, in order. A journal makes these durable; replaying them gives the same store. */
export type Change =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: Uint8Array;
      readonly lease: bigint;
      readonly revision: bigint;
    }
  | { readonly type: 'delete'; readonly key: string; readonly revision: bigint }
  | { readonly type: 'grant'; readonly lease: bigint; readonly ttlMs: number }
  | { readonly type: 'revoke'; readonly lease: bigint }
  | { readonly type: 'compact'; readonly revision: bigint };

/** `lease` of a put without one. */
export const noLease = 0n;

/**
 * Where a store's changes become durable. One `commit` at a time; when it rejects, none of its changes counts, and the journal
 * either takes the next commit or rejects that as well.
 */
export interface Journal {
  /** @throws StoreUnavailableError */
  commit(changes: readonly Change[]): Promise<void>;
  /** The changes of the last commit are in the index now. Must not throw. */
  applied(): void;
  close(): Promise<void>;
}
