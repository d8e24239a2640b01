/**
 * What probes and lifecycle hooks do: run a command, ask by HTTP, open a connection. Each bounded by a signal; nothing is left
 * open afterwards.
 *
 * HTTP as upstream's prober: no proxy, no keep-alive, no check of certificates, redirects followed on the same host only (at most
 * ten), at most 10 KiB of the answer read. A port below 1024 that the runtime cannot bind is asked at its substitute.
 */
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import type { corev1 } from '@orbitkit/core';
import { untilAborted } from '../agent/until-aborted.js';
import { substitutePort } from '../network/low-port.js';
import type { Capability, Runtime } from '../runtime/contract.js';

const bodyLimit = 10 * 1024;
const outputLimit = 10 * 1024;
const redirectLimit = 10;

/** A number, or the name of one of the container's ports. @throws Error when there is none of that name. */
export function portOf(
  port: number | string,
  container: corev1.Container,
  capabilities: ReadonlySet<Capability>,
): number {
  const named = container.ports?.find(({ name }) => name === port)?.containerPort;
  const number = named ?? Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw new Error(`container ${container.name} has no port ${JSON.stringify(port)}`);
  }
  return substitutePort(number, capabilities);
}

export async function httpGet(
  action: corev1.HTTPGetAction,
  container: corev1.Container,
  address: string | undefined,
  capabilities: ReadonlySet<Capability>,
  signal: AbortSignal,
): Promise<{ status: number; body: string }> {
  const host = action.host || address;
  if (!host) throw new Error('the pod has no address yet');
  const port = portOf(action.port, container, capabilities);
  const scheme = (action.scheme ?? 'HTTP').toLowerCase();
  const headers: Record<string, string | string[]> = {};
  for (const { name, value } of action.httpHeaders ?? []) {
    const key = name.toLowerCase();
    // Node takes a lone value as text only for some headers, Host among them.
    headers[key] = headers[key] === undefined ? value : [headers[key], value].flat();
  }
  headers['user-agent'] ??= 'kube-probe/orbitkit';
  headers['accept'] ??= '*/*';
  const bracketed = net.isIPv6(host) ? `[${host}]` : host;
  const path = action.path || '/';
  let url = new URL(`${scheme}://${bracketed}:${port}${path.startsWith('/') ? '' : '/'}${path}`);
  for (let hops = 0; ; hops++) {
    const answer = await get(url, headers, signal);
    const location = answer.status >= 300 && answer.status < 400 ? answer.location : undefined;
    if (location === undefined || !URL.canParse(location, url.href)) return answer;
    const next = new URL(location, url);
    if (next.hostname !== url.hostname || !/^https?:$/.test(next.protocol)) return answer;
    if (hops === redirectLimit) throw new Error(`stopped after ${redirectLimit} redirects`);
    url = next;
  }
}

function get(url: URL, headers: Record<string, string | string[]>, signal: AbortSignal) {
  return new Promise<{ status: number; body: string; location?: string }>((resolve, reject) => {
    const make = url.protocol === 'https:' ? https.request : http.request;
    // `setHost`: a Host header of the probe's own replaces the address.
    const request = make(
      url,
      { headers, agent: false, signal, rejectUnauthorized: false, setHost: headers['host'] === undefined },
      response => {
        const chunks: Buffer[] = [];
        let size = 0;
        const done = () => {
          request.destroy();
          const body = Buffer.concat(chunks).subarray(0, bodyLimit).toString('utf8');
          const { location } = response.headers;
          resolve({ status: response.statusCode ?? 0, body, ...(location === undefined ? {} : { location }) });
        };
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size >= bodyLimit) done();
        });
        response.on('end', done);
        response.on('error', reject);
      },
    );
    request.on('error', error => reject(signal.aborted ? signal.reason : error));
    request.end();
  });
}

/** Resolves when the connection stands; it is closed at once. */
export function connectTo(host: string | undefined, port: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!host) return reject(new Error('the pod has no address yet'));
    if (signal.aborted) return reject(signal.reason);
    const socket = net.connect({ host, port });
    const onAbort = () => socket.destroy(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      resolve();
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => signal.removeEventListener('abort', onAbort));
  });
}

/** Runs a command in the container. `output` is the start of what it wrote, both streams together. */
export async function runCommand(
  runtime: Runtime,
  containerId: string,
  command: readonly string[],
  signal: AbortSignal,
): Promise<{ exitCode: number; output: string }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const keep = (chunk: Uint8Array) => {
    if (size < outputLimit) chunks.push(chunk.subarray(0, outputLimit - size));
    size += chunk.length;
  };
  const run = runtime.exec(containerId, { command, tty: false, signal, onStdout: keep, onStderr: keep });
  // A runtime may be slow to notice the signal; who waits is not.
  const exitCode = await untilAborted(run, signal);
  return { exitCode, output: Buffer.concat(chunks).toString('utf8').trim() };
}
