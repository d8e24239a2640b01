import { buffer, text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { forwardToPod } from './pod-port-forward.js';
import type { Transport, TransportSocket } from './transport.js';

const prefix = (channel: number) => Uint8Array.of(channel, 0x90, 0x1f);
const data = (channel: number, content: string) => Buffer.concat([Buffer.of(channel), Buffer.from(content)]);

/** A server that says these messages; `sent` is what the client sent. */
function pod(messages: readonly Uint8Array[], protocol = 'v5.channel.k8s.io') {
  const sent: Buffer[] = [];
  let asked = '';
  let closed = 0;
  const socket: TransportSocket = {
    protocol,
    messages: (async function* () {
      yield* messages;
    })(),
    send: message => void sent.push(Buffer.from(message)),
    close() {
      closed += 1;
    },
  };
  const transport = {
    connect: async (path: string) => {
      asked = path;
      return socket;
    },
  } as unknown as Transport;
  return {
    sent,
    closed: () => closed,
    asked: () => asked,
    open: () => forwardToPod({ transport }, { namespace: 'ns', pod: 'web', port: 8080 }),
  };
}

it('is a stream of bytes without the numbers of the port, also when they come with the bytes or in pieces', async () => {
  const { open, asked } = pod([
    Uint8Array.of(0, 0x90),
    Uint8Array.of(0, 0x1f, ...Buffer.from('he')),
    prefix(1),
    data(0, 'llo'),
    Uint8Array.of(255, 0),
  ]);
  expect(await text(await open())).toBe('hello');
  expect(asked()).toBe('/api/v1/namespaces/ns/pods/web/portforward?ports=8080');
});

it('sends bytes and their end', async () => {
  const { open, sent } = pod([prefix(0), prefix(1), Uint8Array.of(255, 0)]);
  const stream = await open();
  stream.end('ping');
  await buffer(stream);
  expect(sent.map(message => [...message])).toEqual([
    [0, ...Buffer.from('ping')],
    [255, 0],
  ]);
});

it('v4 cannot say the end', async () => {
  const { open, sent, closed } = pod([prefix(0), prefix(1), data(0, 'x')], 'v4.channel.k8s.io');
  const stream = await open();
  stream.end('ping');
  expect(await text(stream)).toBe('x');
  expect(sent).toHaveLength(1);
  expect(closed()).toBeGreaterThan(0);
});

it('fails with what the server says on the error channel', async () => {
  const { open, closed } = pod([prefix(0), prefix(1), data(1, 'nothing '), data(1, 'listens'), Uint8Array.of(255, 0)]);
  await expect(open().then(text)).rejects.toMatchObject({
    reason: 'ServiceUnavailable',
    message: 'port 8080 of pod ns/web: nothing listens',
  });
  expect(closed()).toBe(1);
});
