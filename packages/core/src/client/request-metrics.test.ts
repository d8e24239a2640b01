import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { manualClock } from '../clock/manual-clock.js';
import { metrics as newMetrics } from '../component/prometheus.js';
import { ConfigMap } from '../kinds/generated/kinds.js';
import { createClient } from './create-client.js';
import { httpTransport } from './http-transport.js';
import { measuredTransport } from './request-metrics.js';
import type { Transport, TransportRequest } from './transport.js';

it('counts by code, method and host, and times all but streams', async () => {
  const clock = manualClock();
  const metrics = newMetrics();
  const inner = {
    async request({ path }: TransportRequest) {
      await clock.advance(30);
      if (path === '/broken') throw new Error('connection refused');
      return { status: path === '/missing' ? 404 : 200, headers: {}, warnings: [] };
    },
  } as unknown as Transport;
  const transport = measuredTransport(inner, { metrics, host: 'example:6443', clock });
  await transport.request({ method: 'GET', path: '/api' });
  await transport.request({ method: 'GET', path: '/missing' });
  await transport.request({ method: 'POST', path: '/api' });
  await transport.request({ method: 'GET', path: '/api?watch=true', stream: true });
  await expect(transport.request({ method: 'GET', path: '/broken' })).rejects.toThrow('connection refused');
  const text = await metrics.text();
  for (const line of [
    'rest_client_requests_total{code="200",method="GET",host="example:6443"} 2',
    'rest_client_requests_total{code="404",method="GET",host="example:6443"} 1',
    'rest_client_requests_total{code="200",method="POST",host="example:6443"} 1',
    'rest_client_requests_total{code="<error>",method="GET",host="example:6443"} 1',
    'rest_client_request_duration_seconds_count{verb="GET",host="example:6443"} 3',
    'rest_client_request_duration_seconds_bucket{verb="GET",host="example:6443",le="0.025"} 0',
    'rest_client_request_duration_seconds_bucket{verb="GET",host="example:6443",le="0.1"} 3',
  ])
    expect(text).toContain(line);
});

it('a client over HTTP is measured when its transport is given metrics', async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url?.endsWith('/a') ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a', namespace: 'b' } }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const metrics = newMetrics();
  const transport = httpTransport({ server: `http://${host}`, metrics });
  try {
    const client = createClient(transport);
    await client.get(ConfigMap, { name: 'a', namespace: 'b' });
    await expect(client.get(ConfigMap, { name: 'c', namespace: 'b' })).rejects.toMatchObject({ code: 404 });
    const text = await metrics.text();
    expect(text).toContain(`rest_client_requests_total{code="200",method="GET",host="${host}"} 1`);
    expect(text).toContain(`rest_client_requests_total{code="404",method="GET",host="${host}"} 1`);
    expect(text).toContain(`rest_client_request_duration_seconds_count{verb="GET",host="${host}"} 2`);
  } finally {
    await transport.close();
    server.closeAllConnections();
    await new Promise<void>(resolve => server.close(() => resolve()));
  }
});
