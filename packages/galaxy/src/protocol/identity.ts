/**
 * A member's identity on disk: who starts a cluster issues it, the member reads it. The authority's key stays with the issuer.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Authority, issueClientCertificate, issueServingCertificate } from '@orbitkit/apiserver/pki';
import type { MemberCredentials } from './channel.js';

/** Issues (or renews) the certificates of a member, under the authority's directory. */
export async function issueIdentity(
  authority: Authority,
  name: string,
  hosts: readonly string[] = [],
): Promise<MemberCredentials> {
  const [serving, client] = await Promise.all([
    issueServingCertificate(authority, { name: `${name}-serving`, hosts }),
    issueClientCertificate(authority, {
      name: `${name}-client`,
      username: `galaxy:${name}`,
      groups: ['galaxy:members'],
    }),
  ]);
  return { ca: authority.certificate, serving, client };
}

/** Reads what `issueIdentity` left. @throws Error naming the file that cannot be read. */
export async function readIdentity(directory: string, name: string): Promise<MemberCredentials> {
  const read = async (file: string): Promise<string> => {
    try {
      return await readFile(join(directory, file), 'utf8');
    } catch (cause) {
      throw new Error(`the identity of ${name} cannot be read: ${join(directory, file)}: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  const pair = async (use: string) => ({
    certificate: await read(`${name}-${use}.crt`),
    key: await read(`${name}-${use}.key`),
  });
  return { ca: await read('ca.crt'), serving: await pair('serving'), client: await pair('client') };
}
