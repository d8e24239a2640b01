/** The flags that name a store and its encryption; what they mean is in store-options.ts, which loads a server. */
import type { Command } from 'commander';
import { groupOf } from './option-groups.js';

const storeHeading = 'Where objects are kept:';

export interface StoreFlags {
  store: string;
  storePrefix?: string;
  etcdCa?: string;
  etcdCert?: string;
  etcdKey?: string;
  etcdUser?: string;
  etcdPasswordFile?: string;
  encryptionConfig?: string;
}

/** The flags that name a store. */
export const storeOptions = (command: Command): Command =>
  groupOf(command, storeHeading, grouped =>
    grouped
      .option(
        '--store <store>',
        'embedded (in the data directory), memory (lost at the end), or etcd=URL[,URL…]',
        'embedded',
      )
      .option('--store-prefix <prefix>', 'under which keys of an etcd the cluster stands; default /orbitkit')
      .option('--etcd-ca <file>', 'PEM of the authority of an etcd reached by https')
      .option('--etcd-cert <file>', 'client certificate for etcd')
      .option('--etcd-key <file>', 'its key')
      .option('--etcd-user <name>', 'user of etcd; needs --etcd-password-file')
      .option('--etcd-password-file <file>', 'its password'),
  );

/** The flag that a server has besides. */
export const encryptionOption = (command: Command): Command =>
  groupOf(command, storeHeading, grouped =>
    grouped.option(
      '--encryption-config <file>',
      "an EncryptionConfiguration (aesgcm, identity); default: DIR/encryption.yaml, made at the first start, which encrypts secrets; 'none'",
    ),
  );
