/** What it takes to talk to an etcd: addresses, keys, the connection, the etcd3 client. */
import { systemClock } from '@orbitkit/core';
import { checkKey } from '../key.js';
import { type Administration, administration } from './administration.js';
import { Channel } from './channel.js';
import type { EtcdStoreOptions } from './etcd-store.js';
import { type KeySpace, keySpace } from './key-space.js';
import { Kv } from './kv.js';

export interface Connection {
  readonly hosts: readonly string[];
  readonly prefix: string;
  readonly keys: KeySpace;
  readonly channel: Channel;
  readonly kv: Kv;
  readonly administration: Administration;
}

/** @throws TypeError for what is no address or prefix */
export function addressOf(options: EtcdStoreOptions): { hosts: readonly string[]; prefix: string } {
  const hosts = typeof options.hosts === 'string' ? options.hosts.split(',').map(host => host.trim()) : options.hosts;
  for (const host of hosts) {
    if (!/^https?:\/\/[^/]+$/.test(host))
      throw new TypeError(
        `etcd: ${JSON.stringify(host)} is no address of a member: http://HOST:PORT or https://HOST:PORT`,
      );
  }
  const prefix = (options.prefix ?? '/orbitkit').replace(/\/+$/, '');
  checkKey(prefix);
  return { hosts, prefix };
}

/** Nothing is sent yet. @throws StoreUnavailableError when etcd3 is missing */
export async function connect(options: EtcdStoreOptions): Promise<Connection> {
  const { tls, auth } = options;
  const { hosts, prefix } = addressOf(options);
  const admin = await administration({ hosts, tls, auth });
  const channel = new Channel({
    hosts,
    tls,
    clock: options.clock ?? systemClock,
    ...(auth === undefined ? {} : { token: () => admin.token() }),
    ...(options.callTimeoutMs === undefined ? {} : { callTimeoutMs: options.callTimeoutMs }),
    ...(options.pingMs === undefined ? {} : { pingMs: options.pingMs }),
    ...(options.pongMs === undefined ? {} : { pongMs: options.pongMs }),
  });
  return { hosts, prefix, keys: keySpace(prefix), channel, kv: new Kv(channel), administration: admin };
}
