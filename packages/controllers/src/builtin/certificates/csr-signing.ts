/**
 * Signs approved requests for the signers of Kubernetes that vouch for clients and nodes; what they do not take gets the condition Failed.
 * The key stays with whoever gives `sign`. Requests are removed an hour after they were decided, a day after nobody did.
 * Sources: upstream `pkg/controller/certificates/signer`, `cleaner`; conditions and texts are theirs.
 */
import { CertificateSigningRequest, isNotFound } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controller } from '../../controller-builder.js';
import { type CertificateRequestFacts, signerProblems } from './signers.js';

/** Who reads requests and who signs. */
export interface CsrSigningOptions {
  /** Reads a PKCS#10 request in PEM form. @throws Error */
  read(request: string): Promise<CertificateRequestFacts>;
  /** Issues the certificate (PEM). @throws Error when it cannot be issued now; it is tried again. */
  sign(issue: { request: string; usages: readonly string[]; lifetimeMs: number }): Promise<string>;
  /** Longest life of a certificate. Default a year; a request may ask for less, ten minutes at the least. */
  longestMs?: number;
}

const yearMs = 365 * 24 * 60 * 60_000;
const shortestMs = 600_000;
const decidedMs = 60 * 60_000;
const pendingMs = 24 * 60 * 60_000;

/** The controller `certificatesigningrequest-signing-controller`. */
export function csrSigning({ read, sign, longestMs = yearMs }: CsrSigningOptions): Controller {
  return controller(CertificateSigningRequest)
    .named('certificatesigningrequest-signing-controller')
    .reconcile(async ({ object, client, clock }) => {
      const { spec, status, metadata } = object;
      const conditions = status?.conditions ?? [];
      const has = (type: string) => conditions.find(each => each.type === type);
      const problemOf = signerProblems[spec.signerName];
      const approved = has('Approved') !== undefined && has('Denied') === undefined;
      if (problemOf !== undefined && approved && has('Failed') === undefined && !status?.certificate) {
        const text = Buffer.from(spec.request, 'base64').toString();
        const problem = await read(text).then(
          facts => problemOf(facts, spec),
          (error: Error) => `unable to parse csr: ${error.message}`,
        );
        const write = (change: object) =>
          client.updateStatus(CertificateSigningRequest, { ...object, status: { ...status, ...change } });
        if (problem !== undefined) {
          const failed = { type: 'Failed', status: 'True', reason: 'SignerValidationFailure', message: problem };
          await write({ conditions: [...conditions, failed] });
          return;
        }
        const asked = spec.expirationSeconds === undefined ? longestMs : spec.expirationSeconds * 1000;
        const lifetimeMs = Math.min(Math.max(asked, shortestMs), longestMs);
        const certificate = await sign({ request: text, usages: spec.usages ?? [], lifetimeMs });
        await write({ certificate: Buffer.from(certificate).toString('base64') });
        return;
      }
      const decidedAt = (has('Denied') ?? has('Failed') ?? (status?.certificate ? has('Approved') : undefined))
        ?.lastUpdateTime;
      const since = Date.parse(decidedAt ?? metadata.creationTimestamp ?? '');
      const leftMs = since + (decidedAt === undefined ? pendingMs : decidedMs) - clock.now();
      if (Number.isNaN(leftMs)) return;
      if (leftMs > 0) return { requeueAfter: leftMs };
      await client
        .delete(CertificateSigningRequest, { name: metadata.name }, { preconditions: { uid: metadata.uid } })
        .catch(error => {
          if (!isNotFound(error)) throw error;
        });
      return;
    });
}
