/** For tests of webhooks: an HTTPS server on the loopback, under an authority of its own, that answers as a test wants. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Authority, createAuthority, issueServingCertificate } from '../pki/index.js';

export interface WebhookServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** PEM in base64, as `caBundle` wants it. */
  readonly caBundle: string;
  /** Bodies of the requests so far. */
  readonly asked: any[];
  /** Answers this path from now on; a number is a bare HTTP code, `undefined` never answers. */
  on(path: string, answer: (body: any) => unknown): void;
  stop(): Promise<void>;
}

let authority: Promise<{ authority: Authority; dir: string }> | undefined;

async function testAuthority(): Promise<{ authority: Authority; dir: string }> {
  authority ??= (async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'orbit-webhook-'));
    return { authority: await createAuthority({ dir }), dir };
  })();
  return authority;
}

/** After all tests of a file. */
export async function removeAuthority(): Promise<void> {
  const made = await authority;
  authority = undefined;
  if (made) await rm(made.dir, { recursive: true, force: true });
}

export async function webhookServer(...hosts: string[]): Promise<WebhookServer> {
  const { authority: of } = await testAuthority();
  const { certificate, key } = await issueServingCertificate(of, { name: `hook${hosts.length}`, hosts });
  const answers = new Map<string, (body: any) => unknown>();
  const asked: any[] = [];
  const server: Server = createServer({ cert: certificate, key }, (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', piece => pieces.push(piece));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(pieces).toString());
      asked.push(body);
      const answer = answers.get(request.url ?? '')?.(body);
      if (answer === undefined) return;
      if (typeof answer === 'number') {
        response.writeHead(answer).end('no');
        return;
      }
      const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
      response.writeHead(200, { 'content-type': 'application/json' }).end(text);
    });
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const stop = async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
  return {
    port,
    url: `https://127.0.0.1:${port}`,
    caBundle: Buffer.from(of.certificate).toString('base64'),
    asked,
    on: (at, answer) => void answers.set(at, answer),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The answer of an admission webhook to a review. */
export const review = (body: any, response: object): object => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  response: { uid: body.request.uid, ...response },
});

export const patchOf = (...operations: object[]): object => ({
  allowed: true,
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});
