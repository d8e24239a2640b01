/** What a server needs to prove itself and to know its administrator: authority, certificates and token, kept in one directory. */
import { hostname, networkInterfaces } from 'node:os';
import { adminToken } from '../authentication/index.js';
import type { ServingIdentity } from '../http/http-door.js';
import type { ClientCertificate } from '../node-proxy/backend.js';
import {
  type Authority,
  createAuthority,
  type IssuedCertificate,
  issueClientCertificate,
  issueServingCertificate,
} from '../pki/index.js';

export interface ServerCredentials {
  /** The newest form: its certificate is renewed (same key, same name) when `serving` is asked for. */
  readonly authority: Authority;
  readonly adminToken: string;
  /** Renewed when its time has come; ask again at `renewAt`, and once a day for the authority. */
  serving(): Promise<ServingIdentity & { readonly renewAt: number }>;
  /** With which the server calls the nodes' agents. Renewed as `serving` is. */
  agentClient(): Promise<ClientCertificate>;
}

/** As kubeadm names it; agents let this name in. */
export const agentClientName = 'kube-apiserver-kubelet-client';

/** The names under which clients may reach a server that listens on `host`: all of the machine's when it listens on all addresses. */
export function hostsOf(host: string | undefined): string[] {
  if (host === undefined) return [];
  if (host !== '0.0.0.0' && host !== '::') return [host];
  const addresses = Object.values(networkInterfaces()).flatMap(list => (list ?? []).map(({ address }) => address));
  return [hostname(), ...addresses.filter(address => !address.includes('%'))];
}

export async function credentialsUnder(
  dir: string,
  options: { authority?: Authority; hosts: readonly string[]; lifetimeMs?: number },
): Promise<ServerCredentials> {
  let authority = options.authority ?? (await createAuthority({ dir }));
  let agentClient: IssuedCertificate | undefined;
  const lifetime = options.lifetimeMs === undefined ? {} : { lifetimeMs: options.lifetimeMs };
  return {
    get authority() {
      return authority;
    },
    adminToken: await adminToken(dir),
    async serving() {
      authority = await createAuthority({ dir: authority.dir, clock: authority.clock });
      const { certificate, key, renewAt } = await issueServingCertificate(authority, {
        hosts: options.hosts,
        ...lifetime,
      });
      return { certificate, key, clientAuthority: authority.certificate, renewAt };
    },
    async agentClient() {
      if (agentClient === undefined || authority.clock.now() >= agentClient.renewAt) {
        agentClient = await issueClientCertificate(authority, {
          name: agentClientName,
          username: agentClientName,
          groups: ['system:masters'],
          ...lifetime,
        });
      }
      return agentClient;
    },
  };
}
