/**
 * The certificate of a webhook server: given as it is, or in files that somebody renews. Files are looked at every so often (controller-runtime's
 * certwatcher: 10 s); what they hold when it changed and fits together is served from then on, without a restart. What does not fit is logged and left.
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import type { Clock, Logger } from '@orbitkit/core';

/** PEM, given or in files. */
export type WebhookCertificate =
  | { certificate: string; key: string }
  | {
      certificateFile: string;
      keyFile: string;
      /** Default 10 s. */
      lookEveryMs?: number;
    };

type Pair = Required<Pick<SecureContextOptions, 'cert' | 'key'>>;

/** @throws Error that names the file, when one cannot be read or the two do not fit together. */
export async function loadCertificate(source: WebhookCertificate): Promise<Pair> {
  const pair =
    'certificate' in source
      ? { cert: source.certificate, key: source.key }
      : { cert: await readFile(source.certificateFile, 'utf8'), key: await readFile(source.keyFile, 'utf8') };
  try {
    createSecureContext(pair);
  } catch (error) {
    const from = 'certificate' in source ? 'the certificate' : `${source.certificateFile} and ${source.keyFile}`;
    throw new Error(`${from}: certificate and key do not fit together: ${(error as Error).message}`, { cause: error });
  }
  return pair;
}

/** Tells of each new pair until the signal aborts. Returns at once for a certificate that is in no file. */
export async function followCertificate(
  source: WebhookCertificate,
  first: Pair,
  use: (pair: Pair) => void,
  { clock, log, signal }: { clock: Clock; log: Logger; signal: AbortSignal },
): Promise<void> {
  if ('certificate' in source) return;
  let known = first;
  while (!signal.aborted) {
    await clock.sleep(source.lookEveryMs ?? 10_000, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      const pair = await loadCertificate(source);
      if (pair.cert === known.cert && pair.key === known.key) continue;
      use(pair);
      known = pair;
      log.info('the certificate was renewed', { file: source.certificateFile });
    } catch (error) {
      log.warn('the new certificate cannot be used; the last one is', { file: source.certificateFile, error });
    }
  }
}
