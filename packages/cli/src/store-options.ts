/**
 * Which store a server keeps its objects in, as the command line says it: `--store embedded`, `memory`, or
 * `etcd=http://HOST:PORT[,…]` with the flags of its TLS and user; and what of it is encrypted.
 */
import { join } from 'node:path';
import {
  type ApiServerOptions,
  embeddedStore,
  ensureEncryptionFile,
  memoryStore,
  readEncryptionFile,
  type StoreFactory,
} from '@orbitkit/apiserver';
import type { EtcdStoreOptions } from '@orbitkit/apiserver/etcd';
import { pathIn } from './commands/options.js';
import { readNamed } from './files.js';
import type { StoreFlags } from './store-flags.js';
import { CommandError, type Terminal } from './terminal.js';

export type ChosenStore =
  | { readonly type: 'embedded'; readonly dir: string }
  | { readonly type: 'memory' }
  | { readonly type: 'etcd'; readonly options: EtcdStoreOptions };

/** @throws CommandError that names the flag */
export async function chosenStore(flags: StoreFlags, dataDir: string, terminal: Terminal): Promise<ChosenStore> {
  const { store } = flags;
  const etcdFlags = [
    flags.storePrefix,
    flags.etcdCa,
    flags.etcdCert,
    flags.etcdKey,
    flags.etcdUser,
    flags.etcdPasswordFile,
  ];
  if (store === 'embedded' || store === 'memory') {
    if (etcdFlags.some(flag => flag !== undefined))
      throw new CommandError(`--store ${store}: flags of etcd need --store etcd=URL`);
    return store === 'memory' ? { type: 'memory' } : { type: 'embedded', dir: join(dataDir, 'store') };
  }
  const hosts = /^etcd=(.+)$/.exec(store)?.[1]?.split(',');
  if (hosts === undefined)
    throw new CommandError(`--store ${store}: one of embedded, memory, etcd=http://HOST:PORT[,…]`);
  for (const host of hosts) {
    if (!/^https?:\/\/[^/]+$/.test(host))
      throw new CommandError(
        `--store ${store}: ${JSON.stringify(host)} is no address: http://HOST:PORT or https://HOST:PORT`,
      );
  }
  const file = async (flag: string, name: string | undefined): Promise<string | undefined> =>
    name === undefined ? undefined : readNamed(terminal, flag, name);
  const ca = await file('--etcd-ca', flags.etcdCa);
  const cert = await file('--etcd-cert', flags.etcdCert);
  const key = await file('--etcd-key', flags.etcdKey);
  if ((cert === undefined) !== (key === undefined)) throw new CommandError('--etcd-cert and --etcd-key go together');
  const password = await file('--etcd-password-file', flags.etcdPasswordFile);
  if ((flags.etcdUser === undefined) !== (password === undefined))
    throw new CommandError('--etcd-user and --etcd-password-file go together');
  return {
    type: 'etcd',
    options: {
      hosts,
      ...(flags.storePrefix === undefined ? {} : { prefix: flags.storePrefix }),
      ...(ca === undefined && cert === undefined
        ? {}
        : { tls: { ...(ca ? { ca } : {}), ...(cert && key ? { cert, key } : {}) } }),
      ...(flags.etcdUser === undefined
        ? {}
        : { auth: { username: flags.etcdUser, password: password!.replace(/\r?\n$/, '') } }),
    },
  };
}

export async function storeFactory(store: ChosenStore): Promise<StoreFactory> {
  switch (store.type) {
    case 'memory':
      return memoryStore();
    case 'embedded':
      return embeddedStore({ dir: store.dir });
    case 'etcd': {
      const { etcdStore } = await import('@orbitkit/apiserver/etcd');
      return etcdStore(store.options);
    }
  }
}

const encryptionFileOf = (flags: Pick<StoreFlags, 'encryptionConfig'>, dataDir: string, terminal: Terminal): string =>
  flags.encryptionConfig === undefined ? join(dataDir, 'encryption.yaml') : pathIn(terminal, flags.encryptionConfig);

/** Store and encryption of a server. */
export async function serverStore(
  flags: StoreFlags,
  dataDir: string,
  terminal: Terminal,
): Promise<Pick<ApiServerOptions, 'store' | 'encryption'>> {
  const store = await storeFactory(await chosenStore(flags, dataDir, terminal));
  if (flags.encryptionConfig === 'none') return { store };
  const file = encryptionFileOf(flags, dataDir, terminal);
  return {
    store,
    encryption: () => (flags.encryptionConfig === undefined ? ensureEncryptionFile(file) : readEncryptionFile(file)),
  };
}
