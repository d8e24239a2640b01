/**
 * The agent's HTTPS server: logs, exec, attach, port-forward, pods, statistics, at the kubelet's paths.
 *
 * Only a client certificate that the cluster's authority signed for the API server is let in; everybody and everything else is
 * answered 401, `/healthz` too. HTTP/1.1; streams are WebSockets or SPDY/3.1 (`upgrade.ts`). Errors before the first byte are a Status.
 */

import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { badRequest, type Clock, isStatusError, type Logger, StatusError } from '@orbitkit/core';
import type { ListenOptions } from '../agent/options.js';
import { substitutePort } from '../network/low-port.js';
import type { PodWorker } from '../pod-worker/pod-worker.js';
import type { Runtime } from '../runtime/contract.js';
import { statsSummary } from '../stats/summary.js';
import { channelPortForward } from './channel-port-forward.js';
import { channelStreams } from './channel-streams.js';
import { containerLog } from './container-log.js';
import { serveStreams } from './exec.js';
import { logOptionsOf, portsOf, streamRequestOf } from './parameters.js';
import { loggedContainer, mayStillWrite, podTarget, runningContainer, sandboxOf } from './pod-target.js';
import type { ForwardTarget } from './port-forward.js';
import { keepServingCertificate, newServingCertificate, servingCertificate } from './serving-certificate.js';
import { spdyPortForward } from './spdy-port-forward.js';
import { spdyStreams } from './spdy-streams.js';
import { type Agreed, agreeOn, type StreamAction, type Upgraded, upgrader } from './upgrade.js';

export interface StreamServer {
  readonly port: number;
  /** SHA-256 of the serving certificate, lower-case hex. */
  readonly fingerprint: string;
  close(): Promise<void>;
}

/** The pods as the server sees them; undefined before the agent has registered. */
export interface ServedPods {
  workers(): Iterable<PodWorker>;
  worker(namespace: string, name: string): PodWorker | undefined;
}

export interface StreamServerOptions {
  listen: ListenOptions;
  name: string;
  address: string;
  dataDir: string;
  runtime: Runtime;
  clock: Clock;
  log: Logger;
  pods(): ServedPods | undefined;
}

/** Long enough for several reports of the node's status, in which the new certificate is announced. */
const announcedMs = 10 * 60_000;
const renewalCheckMs = 24 * 60 * 60_000;
const apiServerName = 'kube-apiserver-kubelet-client';
const streamActions: readonly string[] = ['exec', 'attach', 'portForward'] satisfies StreamAction[];

/** What to do with a connection once it has left HTTP. */
interface Plan {
  agreed: Agreed;
  serve(upgraded: Upgraded): Promise<void>;
}

export async function streamServer(options: StreamServerOptions): Promise<StreamServer> {
  const { listen, name, address, dataDir, runtime, clock, log } = options;
  const clientNames = listen.clientNames ?? [apiServerName];
  const clusterCA = async () => (typeof listen.clusterCA === 'string' ? listen.clusterCA : listen.clusterCA());
  const wanted = () => ({ dataDir, name, address, now: clock.now() });
  let serving = await servingCertificate(wanted());
  /** What the Node object is to say: one, or two while one takes the other's place. */
  let { fingerprint } = serving;
  const closing = new AbortController();
  const summary = statsSummary({
    nodeName: name,
    runtime,
    startedAt: clock.now(),
    clock,
    workers: () => options.pods()?.workers() ?? [],
  });

  /** @throws StatusError Unauthorized */
  function authenticate(request: IncomingMessage): void {
    const socket = request.socket as TLSSocket;
    const subject = socket.authorized ? socket.getPeerCertificate().subject : undefined;
    const commonName = subject?.CN as string | readonly string[] | undefined;
    if (typeof commonName !== 'string' || !clientNames.includes(commonName))
      throw new StatusError('Unauthorized', 'Unauthorized');
  }

  const target = (namespace: string, podName: string) =>
    podTarget(options.pods()?.worker(namespace, podName), runtime, namespace, podName);

  async function serveLog(url: URL, parts: string[], response: ServerResponse): Promise<void> {
    const [, namespace = '', podName = '', container = ''] = parts;
    const found = await target(namespace, podName);
    const asked = logOptionsOf(url.searchParams, clock.now());
    const logged = loggedContainer(found, container, asked.previous);
    const over = new AbortController();
    response.on('close', () => over.abort());
    const isRunning = mayStillWrite(logged, () =>
      options.pods()?.worker(namespace, podName) === found.worker ? found.worker.state : undefined,
    );
    const signal = AbortSignal.any([over.signal, closing.signal]);
    response.writeHead(200, { 'content-type': 'text/plain' });
    response.flushHeaders();
    for await (const chunk of containerLog({ path: logged.logPath, clock, signal, isRunning }, asked)) {
      if (!response.write(chunk) && !response.destroyed) await once(response, 'drain', { signal }).catch(() => {});
    }
    response.end();
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    authenticate(request);
    const url = new URL(request.url ?? '/', 'https://agent');
    const parts = segmentsOf(url);
    const json = (value: unknown) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (streamActions.includes(parts[0] ?? '')) throw badRequest('Upgrade request required');
    if (request.method !== 'GET')
      throw new StatusError('MethodNotAllowed', `${request.method} is not served here; use GET`);
    if (url.pathname === '/healthz') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok');
    else if (url.pathname === '/pods') {
      const items = [...(options.pods()?.workers() ?? [])].map(({ pod }) => pod);
      json({ apiVersion: 'v1', kind: 'PodList', metadata: {}, items });
    } else if (url.pathname === '/stats/summary') json(await summary(closing.signal));
    else if (parts[0] === 'containerLogs' && parts.length === 4) await serveLog(url, parts, response);
    else throw new StatusError('NotFound', `the agent of node ${name} serves nothing at ${url.pathname}`);
  }

  /** @throws StatusError for what can be refused before the handshake. */
  async function planOf(request: IncomingMessage): Promise<Plan> {
    const url = new URL(request.url ?? '/', 'https://agent');
    const [action = '', namespace = '', podName = '', container = ''] = segmentsOf(url);
    if (!streamActions.includes(action))
      throw new StatusError('NotFound', `the agent of node ${name} serves nothing at ${url.pathname}`);
    if (action === 'portForward') {
      const { id, uid } = sandboxOf(await target(namespace, podName));
      const agreed = agreeOn(request, action);
      const forwarding: ForwardTarget = {
        what: `pod ${podName}, uid ${uid}`,
        connect: (port, signal) => runtime.portForward(id, substitutePort(port, runtime.capabilities), signal),
      };
      const ports = agreed.kind === 'channels' ? portsOf(url.searchParams) : [];
      return {
        agreed,
        serve: upgraded =>
          upgraded.kind === 'channels'
            ? channelPortForward(upgraded.socket, ports, forwarding)
            : spdyPortForward(upgraded.socket, forwarding, clock),
      };
    }
    const asked = streamRequestOf(url.searchParams);
    const { id } = runningContainer(await target(namespace, podName), container);
    const command = url.searchParams.getAll('command');
    if (action === 'exec' && command.length === 0) throw badRequest('you must specify at least 1 command for exec');
    return {
      agreed: agreeOn(request, action as StreamAction),
      async serve(upgraded) {
        const streams =
          upgraded.kind === 'channels'
            ? channelStreams(upgraded.socket, asked)
            : await spdyStreams(upgraded.socket, asked, upgraded.protocol, clock);
        await serveStreams(streams, asked.tty, async streamed => {
          if (action === 'exec') return runtime.exec(id, { ...streamed, command });
          await runtime.attach(id, streamed);
          return 0;
        });
      },
    };
  }

  const server = createServer({
    cert: serving.certificate,
    key: serving.key,
    ca: await clusterCA(),
    requestCert: true,
    // Not at the handshake: who is not let in shall read why.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  });
  const upgrades = upgrader();

  server.on('request', (request, response) => {
    serve(request, response).catch(error => {
      if (closing.signal.aborted || response.headersSent) return response.destroy();
      const status = statusOf(error);
      response.writeHead(status.code!, { 'content-type': 'application/json' }).end(JSON.stringify(status));
    });
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const accept = async () => {
      authenticate(request);
      return planOf(request);
    };
    accept().then(
      async ({ agreed, serve: served }) => {
        try {
          const upgraded = await upgrades.upgrade(agreed, request, socket, head);
          if (upgraded) await served(upgraded);
        } catch (error) {
          if (!socket.destroyed && !closing.signal.aborted) {
            log.warn('a stream ended badly', {
              path: request.url,
              error: error instanceof Error ? error.message : String(error),
            });
          }
          socket.destroy();
        }
      },
      error => refuse(socket, statusOf(error)),
    );
  });
  server.on('tlsClientError', () => {});

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port ?? 0, listen.host ?? address, () => {
      server.off('error', reject);
      resolve();
    });
  });

  /** Once a day: a new certificate when it is time, and the authority's newest. Connections that are open stay. */
  async function renew(): Promise<void> {
    if (clock.now() >= serving.renewAt) {
      const next = await newServingCertificate(wanted());
      fingerprint = `${serving.fingerprint},${next.fingerprint}`;
      await clock.sleep(announcedMs, closing.signal);
      await keepServingCertificate(dataDir, next);
      serving = next;
      fingerprint = next.fingerprint;
      log.info('the agent serves with a new certificate', { node: name });
    }
    server.setSecureContext({
      cert: serving.certificate,
      key: serving.key,
      ca: await clusterCA(),
      minVersion: 'TLSv1.2',
    });
  }
  const renewing = (async () => {
    while (!closing.signal.aborted) {
      try {
        await clock.sleep(renewalCheckMs, closing.signal);
        await renew();
      } catch (error) {
        if (closing.signal.aborted) return;
        // Tomorrow is another day: there are weeks left.
        log.warn('the certificate of the agent could not be renewed', { node: name, error: String(error) });
      }
    }
  })();

  return {
    port: (server.address() as AddressInfo).port,
    get fingerprint() {
      return fingerprint;
    },
    async close() {
      if (closing.signal.aborted) return;
      closing.abort(new Error('the node agent is stopping'));
      upgrades.terminate();
      const closed = new Promise<void>(resolve => server.close(() => resolve()));
      server.closeAllConnections();
      await Promise.all([closed, renewing]);
    },
  };
}

/** @throws StatusError BadRequest */
function segmentsOf(url: URL): string[] {
  try {
    return url.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    throw badRequest(`the path ${url.pathname} is not valid percent-encoding`);
  }
}

function statusOf(error: unknown) {
  if (isStatusError(error)) return error.toStatus();
  return new StatusError('InternalError', error instanceof Error ? error.message : String(error)).toStatus();
}

/** An answer to a handshake that is refused: plain HTTP on the raw connection. */
function refuse(socket: Duplex, status: ReturnType<typeof statusOf>): void {
  const body = JSON.stringify(status);
  socket.end(
    `HTTP/1.1 ${status.code} ${status.reason || 'Error'}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
