/** What is added to etcd's revisions: nothing, or after a restore what lifts them above those of the snapshot. */
import { StoreUnavailableError } from '../contract.js';
import type { KeySpace } from './key-space.js';
import type { Kv } from './kv.js';

/** In the place of the number, while a restore is under way. */
export const restoring = 'restoring';

/** @throws StoreUnavailableError while a restore is not complete */
export async function readRevisionOffset(kv: Kv, keys: KeySpace): Promise<{ offset: bigint; revision: bigint }> {
  const { entries, revision } = await kv.range({ key: keys.offset });
  const text = entries[0]?.value.toString();
  if (text === restoring) {
    throw new StoreUnavailableError(
      'a restore into this etcd is under way, or was broken off: wait for it, or run it again with leave to overwrite',
    );
  }
  return { offset: text === undefined ? 0n : BigInt(text), revision };
}
