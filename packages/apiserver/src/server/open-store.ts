/** The store of a server, with what of it is encrypted. */
import { isUnrecoverable, unrecoverable } from '@orbitkit/core';
import { isStoreUnavailable, type Store } from '../storage/contract.js';
import { encryptedStore } from '../storage/encryption/index.js';
import type { ApiServerOptions } from './api-server-options.js';

/** A store that is locked, damaged, or out of this user's reach does not mend by trying again. */
export async function openStore({ store, encryption }: Pick<ApiServerOptions, 'store' | 'encryption'>): Promise<Store> {
  try {
    if (encryption === undefined) return await store();
    const rules = typeof encryption === 'function' ? await encryption() : encryption;
    return await encryptedStore(store, rules)();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const forbidden = code !== undefined && ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR'].includes(code);
    throw (forbidden || isStoreUnavailable(error)) && !isUnrecoverable(error) ? unrecoverable(error as Error) : error;
  }
}
