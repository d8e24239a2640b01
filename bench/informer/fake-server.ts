/**
 * Pods, served as an API server serves them and as fast as the socket takes them: everything is serialised before the first request. It knows lists
 * whole and in pages, watches, and watches that begin with what there is. `POST /events` sends the changes to the watches that are open.
 */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { firstVersion, podText } from './pods.js';

export interface Scale {
  pods: number;
  events: number;
}

const blockBytes = 256 * 1024;

/** What is written together. Prepared, so that the server is not what is measured. */
function blocksOf(parts: readonly Buffer[]): Buffer[] {
  const blocks: Buffer[] = [];
  for (let i = 0; i < parts.length; ) {
    const some: Buffer[] = [];
    for (let bytes = 0; i < parts.length && bytes < blockBytes; i++) {
      some.push(parts[i]!);
      bytes += parts[i]!.length;
    }
    blocks.push(Buffer.concat(some));
  }
  return blocks;
}

async function write(response: ServerResponse, blocks: readonly Buffer[]): Promise<void> {
  for (const block of blocks) {
    if (response.destroyed) return;
    if (!response.write(block)) await room(response);
  }
}

/** Resolves when more can be written, or nothing ever again. */
function room(response: ServerResponse): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

/** @returns its port on the loopback interface. */
export async function fakeServer({ pods, events }: Scale): Promise<number> {
  const version = firstVersion + pods;
  const texts = Array.from({ length: pods }, (_, index) => Buffer.from(podText(index, firstVersion + index)));
  const comma = Buffer.from(',');
  const line = (type: string, text: Buffer) =>
    Buffer.concat([Buffer.from(`{"type":"${type}","object":`), text, Buffer.from('}\n')]);
  const changes = blocksOf(
    Array.from({ length: events }, (_, n) => line('MODIFIED', Buffer.from(podText((n * 7) % pods, version + n + 1)))),
  );
  const endOfList = Buffer.from(
    `${JSON.stringify({
      type: 'BOOKMARK',
      object: {
        kind: 'Pod',
        apiVersion: 'v1',
        metadata: { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } },
      },
    })}\n`,
  );
  const initial = blocksOf([...texts.map(text => line('ADDED', text)), endOfList]);
  const whole = blocksOf(texts.flatMap((text, i) => (i === 0 ? [text] : [comma, text])));
  const watches = new Set<ServerResponse>();

  async function answer(url: URL, response: ServerResponse): Promise<void> {
    response.setHeader('content-type', 'application/json');
    if (url.pathname === '/events') {
      for (const watch of watches) void write(watch, changes);
      response.end('{}');
      return;
    }
    if (url.searchParams.get('watch') === 'true') {
      response.flushHeaders();
      if (url.searchParams.get('sendInitialEvents') === 'true') await write(response, initial);
      watches.add(response);
      response.once('close', () => watches.delete(response));
      return;
    }
    const from = Number(url.searchParams.get('continue') ?? 0);
    const to = Math.min(pods, from + Number(url.searchParams.get('limit') ?? pods));
    const next = to < pods ? `,"continue":"${to}"` : '';
    const head = `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"${version}"${next}},"items":[`;
    const items = () => blocksOf(texts.slice(from, to).flatMap((text, i) => (i === 0 ? [text] : [comma, text])));
    await write(response, [Buffer.from(head), ...(to - from === pods ? whole : items()), Buffer.from(']}\n')]);
    response.end();
  }

  const server = createServer((request, response) => {
    answer(new URL(request.url!, 'http://server'), response).catch(error => response.destroy(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
