/**
 * gRPC servers and channels with mutual TLS: who holds a certificate of the cluster's authority is a member, nobody else
 * is heard. Plain text is a choice for tests, made in code.
 */
import grpc from '@grpc/grpc-js';
import { serviceDefinition } from './schema.js';

/** PEM texts: the authority, and the member's certificates as server and as client. */
export interface MemberCredentials {
  ca: string;
  serving: { certificate: string; key: string };
  client: { certificate: string; key: string };
}
/** `insecure` is for tests. */
export type Credentials = MemberCredentials | 'insecure';

const serverCredentials = (credentials: Credentials): grpc.ServerCredentials =>
  credentials === 'insecure'
    ? grpc.ServerCredentials.createInsecure()
    : grpc.ServerCredentials.createSsl(
        Buffer.from(credentials.ca),
        [
          {
            private_key: Buffer.from(credentials.serving.key),
            cert_chain: Buffer.from(credentials.serving.certificate),
          },
        ],
        true,
      );

const channelCredentials = (credentials: Credentials): grpc.ChannelCredentials =>
  credentials === 'insecure'
    ? grpc.credentials.createInsecure()
    : grpc.credentials.createSsl(
        Buffer.from(credentials.ca),
        Buffer.from(credentials.client.key),
        Buffer.from(credentials.client.certificate),
      );

/** Detects a dead peer in seconds, and tries again soon: members come and go. */
const channelOptions: grpc.ChannelOptions = {
  'grpc.keepalive_time_ms': 5_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2_000,
  'grpc.max_receive_message_length': 16 * 1024 * 1024,
  'grpc.use_local_subchannel_pool': 1,
};

export function client(
  service: 'Coordinator' | 'Dispatcher' | 'Scheduler' | 'Node',
  address: string,
  credentials: Credentials,
): any {
  const Constructor = grpc.makeGenericClientConstructor(serviceDefinition(service), service);
  // Members are reached by address; their certificates are good for this name, and the authority is the cluster's own.
  const name = credentials === 'insecure' ? {} : { 'grpc.ssl_target_name_override': 'localhost' };
  return new Constructor(address, channelCredentials(credentials), { ...channelOptions, ...name });
}

export interface ServerHandle {
  /** host:port that it is bound to. */
  readonly address: string;
  close(): Promise<void>;
}

/** @throws Error naming the address when it cannot be bound. */
export async function listen(
  address: string,
  credentials: Credentials,
  services: { name: 'Coordinator' | 'Dispatcher' | 'Scheduler' | 'Node'; methods: Record<string, any> }[],
): Promise<ServerHandle> {
  const server = new grpc.Server({ 'grpc.max_receive_message_length': 16 * 1024 * 1024 });
  for (const { name, methods } of services) server.addService(serviceDefinition(name), methods);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, serverCredentials(credentials), (error, bound) => {
      if (error) reject(new Error(`cannot listen on ${address}: ${error.message}`, { cause: error }));
      else resolve(bound);
    });
  });
  return {
    address: `${address.slice(0, address.lastIndexOf(':'))}:${port}`,
    async close() {
      server.forceShutdown();
    },
  };
}
