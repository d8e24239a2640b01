/**
 * The administrator: a random bearer token, made once and kept in a file of mode 0600, and the kubeconfig that carries it.
 * Its group may do everything, without RBAC being asked; for others there are accounts of their own.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { UserInfo } from '@orbitkit/core';
import { makeSecretDirectory, readSecretFile, writeFileWhole } from '../pki/secret-file.js';

/** Names as kubeadm gives them. */
export const adminUser: UserInfo = { username: 'kubernetes-admin', groups: ['system:masters'] };

export const adminTokenFile = 'admin.token';

/** The token kept in `dir/admin.token`; a new one of 256 random bits when there is none. @throws Error when others may read the file. */
export async function adminToken(dir: string): Promise<string> {
  await makeSecretDirectory(dir);
  const file = path.join(dir, adminTokenFile);
  const before = (await readSecretFile(file))?.trim();
  if (before !== undefined) {
    if (!/^[A-Za-z0-9_-]{43,}$/.test(before))
      throw new Error(`${file} does not hold a token: remove it to get a new one`);
    return before;
  }
  const token = randomBytes(32).toString('base64url');
  await writeFileWhole(file, `${token}\n`, 0o600);
  return token;
}

/** The one entry of each kind that the file has. */
export interface KubeconfigOptions {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM of the authority that signed the server's certificate. */
  certificateAuthority: string;
  token: string;
  /** Names cluster and context. Default: `orbitkit`. */
  name?: string;
  /** Names the user entry. Default: `kubernetes-admin`. */
  user?: string;
}

/** The text of a kubeconfig with one context. It holds the token: write it with `writeFileWhole`, mode 0600. */
export function kubeconfig(options: KubeconfigOptions): string {
  const name = JSON.stringify(options.name ?? 'orbitkit');
  const user = JSON.stringify(options.user ?? adminUser.username);
  return `apiVersion: v1
kind: Config
clusters:
- name: ${name}
  cluster:
    server: ${JSON.stringify(options.server)}
    certificate-authority-data: ${Buffer.from(options.certificateAuthority).toString('base64')}
users:
- name: ${user}
  user:
    token: ${JSON.stringify(options.token)}
contexts:
- name: ${name}
  context:
    cluster: ${name}
    user: ${user}
current-context: ${name}
`;
}

/** Writes a kubeconfig whole, mode 0600. Its directory is created when missing; an existing one keeps its mode. */
export async function writeKubeconfig(file: string, options: KubeconfigOptions): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFileWhole(file, kubeconfig(options), 0o600);
}
