/**
 * A component that answers the webhooks of an API server over TLS:
 *
 * ```ts
 * webhookServer({ port: 9443, certificate: { certificateFile, keyFile } })
 *   .validating(Website, ({ object }) => (object.spec.replicas > 9 ? 'at most nine' : undefined))
 *   .mutating(Website, ({ object }) => void (object.spec.tier ??= 'small'))
 *   .conversion(Website, (object, apiVersion) => …)
 * ```
 *
 * - Paths are controller-runtime's: `/validate-example-com-v1-website`, `/mutate-…`, `/convert`. `paths` lists them; `configurations` are the objects
 *   that tell the API server of them.
 * - A mutating webhook changes the object that it is given; the JSON patch is computed.
 * - An error that is thrown refuses the request, and is logged and counted. A body is read up to 10 MB.
 * - It stops taking requests on abort and answers those it has.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Component, ComponentContext, KubeObject, ResourceRef } from '@orbitkit/core';
import { followCertificate, loadCertificate, type WebhookCertificate } from './certificate.js';
import { type ClientConfig, configurationsOf, type WebhookConfigurations } from './configurations.js';
import { answerAdmission, answerConversion, type Convert, type Mutate, NoReview, type Validate } from './review.js';

/** Only the certificate has no default. */
export interface WebhookServerOptions {
  certificate: WebhookCertificate;
  /** Default 9443; 0 takes any free one, `listening` then says which. */
  port?: number;
  /** Default all addresses: the API server is elsewhere. */
  host?: string;
  /** Name of the component. Default `webhook-server`. */
  name?: string;
  listening?: (url: string) => void;
}

/** Each call gives a server with one webhook more. It listens when it runs. */
export interface WebhookServer extends Component {
  validating<T extends KubeObject>(kind: ResourceRef<T>, validate: Validate<T>): WebhookServer;
  mutating<T extends KubeObject>(kind: ResourceRef<T>, mutate: Mutate<T>): WebhookServer;
  /** For all versions of the kind. */
  conversion(kind: Pick<ResourceRef<any>, 'group' | 'kind'>, convert: Convert): WebhookServer;
  readonly paths: readonly string[];
  /** What to apply so that the API server asks this server. @param clientConfig Where it is: `url` or `service`, and the `caBundle` in base64. */
  configurations(name: string, clientConfig: ClientConfig): WebhookConfigurations;
}

export interface Hook {
  path: string;
  type: 'validating' | 'mutating';
  kind: ResourceRef<any>;
  decide: { validate: Validate<any> } | { mutate: Mutate<any> };
}

interface Converter {
  group: string;
  kind: string;
  convert: Convert;
}

const largestBody = 10 * 1024 * 1024;
const convertPath = '/convert';

/** A server without webhooks. */
export function webhookServer(options: WebhookServerOptions): WebhookServer {
  return serverOf(options, [], []);
}

function serverOf(
  options: WebhookServerOptions,
  hooks: readonly Hook[],
  converters: readonly Converter[],
): WebhookServer {
  const adding = (type: Hook['type'], kind: ResourceRef<any>, decide: Hook['decide']) => {
    const path = pathOf(type, kind);
    if (hooks.some(hook => hook.path === path)) throw new Error(`two ${type} webhooks for ${kind.kind}: ${path}`);
    return serverOf(options, [...hooks, { path, type, kind, decide }], converters);
  };
  return {
    name: options.name ?? 'webhook-server',
    validating: (kind, validate) => adding('validating', kind, { validate }),
    mutating: (kind, mutate) => adding('mutating', kind, { mutate }),
    conversion: ({ group, kind }, convert) => serverOf(options, hooks, [...converters, { group, kind, convert }]),
    paths: [...hooks.map(({ path }) => path), ...(converters.length > 0 ? [convertPath] : [])],
    configurations: (name, clientConfig) => configurationsOf(name, clientConfig, hooks),
    run: context => serve(options, hooks, converters, context),
  };
}

function pathOf(type: Hook['type'], { group, version, kind }: ResourceRef<any>): string {
  const verb = type === 'validating' ? 'validate' : 'mutate';
  return `/${verb}-${group.replaceAll('.', '-')}-${version}-${kind.toLowerCase()}`;
}

type Answer = (body: unknown) => Promise<object>;

function answersOf(
  hooks: readonly Hook[],
  converters: readonly Converter[],
  { log }: ComponentContext,
): Map<string, Answer> {
  const failed = (path: string) => (error: unknown) => log.error('a webhook failed', { path, error });
  const answers = new Map<string, Answer>();
  for (const { path, decide } of hooks) answers.set(path, body => answerAdmission(body, decide, failed(path)));
  if (converters.length > 0) {
    const converterOf = (kind: string, apiVersion: string) =>
      converters.find(each => each.kind === kind && `${each.group}/` === apiVersion.slice(0, each.group.length + 1))
        ?.convert;
    answers.set(convertPath, body => answerConversion(body, converterOf, failed(convertPath)));
  }
  return answers;
}

async function serve(
  options: WebhookServerOptions,
  hooks: readonly Hook[],
  converters: readonly Converter[],
  context: ComponentContext,
): Promise<void> {
  const { log, signal } = context;
  const answers = answersOf(hooks, converters, context);
  const counts = countsOf(context);
  const pair = await loadCertificate(options.certificate);
  const server = createServer({ ...pair, minVersion: 'TLSv1.2' }, (request, response) => {
    const path = (request.url ?? '').split('?')[0]!;
    const answer = answers.get(path);
    if (!answer) return end(response, 404, 'no webhook is served here');
    if (request.method !== 'POST') return end(response, 405, 'a review is a POST');
    const count = counts(path);
    handle(request, answer)
      .then(
        review => end(response, 200, JSON.stringify(review), 'application/json'),
        error => {
          const wrong = error instanceof NoReview || error instanceof SyntaxError;
          if (!wrong) log.error('a review was not answered', { path, error });
          end(response, error instanceof TooLarge ? 413 : wrong ? 400 : 500, wrong ? error.message : 'internal error');
        },
      )
      .finally(() => count(response.statusCode));
  });
  server.headersTimeout = 10_000;
  server.requestTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 9443, options.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  const host = options.host ?? (address === '::' || address === '0.0.0.0' ? '127.0.0.1' : address);
  options.listening?.(`https://${host.includes(':') ? `[${host}]` : host}:${port}`);
  context.ready();
  const following = followCertificate(options.certificate, pair, next => server.setSecureContext(next), context);
  if (!signal.aborted)
    await new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }));
  server.closeIdleConnections();
  await Promise.all([new Promise<void>(resolve => server.close(() => resolve())), following]);
}

class TooLarge extends Error {}

async function handle(request: IncomingMessage, answer: Answer): Promise<object> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > largestBody) throw new TooLarge('the review is too large');
    pieces.push(piece);
  }
  return answer(JSON.parse(Buffer.concat(pieces).toString('utf8')));
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  if (!response.writableEnded) response.writeHead(status, { 'content-type': type }).end(text);
}

/** Names: controller-runtime `pkg/webhook/internal/metrics`. */
function countsOf({ metrics, clock }: ComponentContext): (webhook: string) => (code: number) => void {
  const requests = metrics.counter(
    'controller_runtime_webhook_requests_total',
    'Total number of admission requests by HTTP status code.',
    ['webhook', 'code'],
  );
  const seconds = metrics.histogram(
    'controller_runtime_webhook_latency_seconds',
    'Histogram of the latency of processing admission requests',
    ['webhook'],
  );
  const inFlight = metrics.gauge(
    'controller_runtime_webhook_requests_in_flight',
    'Current number of admission requests being served.',
    ['webhook'],
  );
  return webhook => {
    const began = clock.now();
    inFlight.inc({ webhook });
    return code => {
      inFlight.dec({ webhook });
      requests.inc({ webhook, code: String(code) });
      seconds.observe((clock.now() - began) / 1000, { webhook });
    };
  };
}
