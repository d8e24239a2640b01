/**
 * Calls a webhook: a POST of JSON over TLS to a URL, or to an endpoint of a Service, and the JSON that it answers.
 *
 * - The other side must be who it is said to be: certificates are checked against `caBundle` (or the system's authorities), for a Service
 *   under the name `NAME.NAMESPACE.svc`.
 * - Bounded: in time by the caller, in size by `maxAnswerBytes`. Redirects are not followed. Connections are kept and reused.
 */
import { createHash } from 'node:crypto';
import { Agent, request as send } from 'node:https';
import type { admissionregistrationv1 } from '@orbitkit/core';
import type { AdmissionReader } from '../admission/contract.js';
import { type ServiceReader, serviceEndpoint } from './service-endpoint.js';

export type ClientConfig = admissionregistrationv1.WebhookClientConfig;

export interface WebhookCall {
  readonly config: ClientConfig;
  readonly body: object;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Where Services and their endpoints are looked up. */
  readonly cluster: AdmissionReader & ServiceReader;
}

/** It could not be reached, or answered what cannot be read. */
class WebhookCallError extends Error {}

export type WebhookCaller = (call: WebhookCall) => Promise<unknown>;

const maxAnswerBytes = 8 << 20;
const maxAgents = 64;

export function webhookCaller(): WebhookCaller {
  const agents = new Map<string, Agent>();

  /** One for each authority and name: connections are not shared between those that trust differently. */
  function agentOf(caBundle: string | undefined, servername: string | undefined): Agent {
    const key = `${servername ?? ''} ${caBundle ? createHash('sha256').update(caBundle).digest('base64') : ''}`;
    let agent = agents.get(key);
    if (agent === undefined) {
      agent = new Agent({
        keepAlive: true,
        maxSockets: 32,
        maxFreeSockets: 4,
        timeout: 30_000,
        ...(caBundle ? { ca: Buffer.from(caBundle, 'base64').toString() } : {}),
        ...(servername ? { servername } : {}),
      });
      if (agents.size >= maxAgents) {
        const [oldest] = agents.keys();
        agents.get(oldest!)?.destroy();
        agents.delete(oldest!);
      }
      agents.set(key, agent);
    }
    return agent;
  }

  return async ({ config, body, timeoutMs, signal, cluster }) => {
    const { url, service, caBundle } = config;
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const target = url
      ? { url: new URL(url), servername: undefined, host: undefined }
      : await serviceTarget(service, cluster, signal);
    const shown =
      url ?? `https://${service!.name}.${service!.namespace}.svc:${service!.port ?? 443}${service!.path ?? '/'}`;
    try {
      return await post(target.url, agentOf(caBundle, target.servername), target.host, body, deadline);
    } catch (error) {
      const late = deadline.aborted && !signal.aborted;
      const text = late
        ? `context deadline exceeded after ${timeoutMs / 1000}s`
        : error instanceof Error
          ? error.message
          : String(error);
      throw new WebhookCallError(`failed to call webhook: Post ${JSON.stringify(shown)}: ${text}`, { cause: error });
    }
  };
}

async function serviceTarget(
  service: ClientConfig['service'],
  cluster: AdmissionReader & ServiceReader,
  signal: AbortSignal,
): Promise<{ url: URL; servername: string; host: string }> {
  if (!service) throw new WebhookCallError('failed to call webhook: it has neither a URL nor a service');
  const endpoint = await serviceEndpoint(service, cluster, signal).catch(error => {
    throw new WebhookCallError(`failed to call webhook: ${error instanceof Error ? error.message : String(error)}`);
  });
  const name = `${service.name}.${service.namespace}.svc`;
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return {
    url: new URL(`https://${host}:${endpoint.port}${service.path ?? '/'}`),
    servername: name,
    host: `${name}:${service.port ?? 443}`,
  };
}

function post(url: URL, agent: Agent, host: string | undefined, body: object, signal: AbortSignal): Promise<unknown> {
  const text = Buffer.from(JSON.stringify(body));
  return new Promise((resolve, reject) => {
    const request = send(
      url,
      {
        method: 'POST',
        agent,
        signal,
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          'content-length': text.length,
          'user-agent': 'orbitkit-apiserver-admission',
          ...(host ? { host } : {}),
        },
      },
      response => {
        const pieces: Buffer[] = [];
        let size = 0;
        response.on('data', (piece: Buffer) => {
          size += piece.length;
          pieces.push(piece);
          if (size > maxAnswerBytes) request.destroy(new Error(`the answer is longer than ${maxAnswerBytes} bytes`));
        });
        response.on('error', reject);
        response.on('end', () => {
          const answer = Buffer.concat(pieces).toString();
          if (response.statusCode !== 200) {
            reject(new Error(`the server answered ${response.statusCode}: ${answer.slice(0, 200)}`));
            return;
          }
          try {
            resolve(JSON.parse(answer));
          } catch {
            reject(new Error(`the answer is no JSON: ${answer.slice(0, 200)}`));
          }
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}
