/**
 * What a manager tells those who look after it, over plain HTTP: `/healthz` (it runs), `/readyz` (its controllers work, or it stands by) and `/metrics`
 * of its composition. They hold nothing secret; bind them to the loopback or to an address that only the cluster reaches.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ComponentContext } from '@orbitkit/core';

/** Where a manager answers. */
export interface ManagerEndpoints {
  /** 0: any free one; `listening` then says which. */
  port: number;
  /** Default 127.0.0.1. In a pod: 0.0.0.0. */
  host?: string;
  /** Further conditions of `/healthz` by name; one that throws makes it fail. */
  checks?: Readonly<Record<string, () => void | Promise<void>>>;
  listening?: (url: string) => void;
}

export interface ServedEndpoints {
  /** Marks it ready, and passes it on. */
  ready(): void;
  close(): Promise<void>;
}

/** @throws Error of the system when the address is taken. */
export async function serveEndpoints(
  { port, host = '127.0.0.1', checks = {}, listening }: ManagerEndpoints,
  context: Pick<ComponentContext, 'metrics' | 'log' | 'ready'>,
): Promise<ServedEndpoints> {
  let ready = false;
  const answers: Record<string, (response: ServerResponse) => Promise<void>> = {
    async '/healthz'(response) {
      const lines = ['[+]ping ok'];
      let healthy = true;
      for (const [name, check] of Object.entries(checks)) {
        try {
          await check();
          lines.push(`[+]${name} ok`);
        } catch (error) {
          healthy = false;
          context.log.warn('a health check failed', { check: name, error });
          lines.push(`[-]${name} failed`);
        }
      }
      end(response, healthy ? 200 : 500, healthy ? 'ok' : lines.join('\n'));
    },
    '/readyz': async response => end(response, ready ? 200 : 500, ready ? 'ok' : '[-]controllers are not ready'),
    '/metrics': async response =>
      end(response, 200, await context.metrics.text(), 'text/plain; version=0.0.4; charset=utf-8'),
  };
  const server = createServer((request, response) => {
    const answer = answers[(request.url ?? '').split('?')[0]!];
    if (!answer) return end(response, 404, 'there are /healthz, /readyz and /metrics');
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(response, 405, 'only GET');
    answer(response).catch(error => {
      context.log.error('an endpoint failed', { path: request.url, error });
      if (!response.headersSent) end(response, 500, 'internal error');
    });
  });
  server.headersTimeout = 10_000;
  server.maxConnections = 256;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const { address, family, port: taken } = server.address() as AddressInfo;
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`;
  context.log.info('health and metrics are served', { url });
  listening?.(url);
  return {
    ready() {
      ready = true;
      context.ready();
    },
    async close() {
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

function end(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(text);
}
