import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { headerCompressor, spdyClient } from '../testing/spdy-client.js';
import { type SpdyConnection, type SpdyLimits, type SpdyStream, spdyConnection } from './connection.js';
import { encodeSynStream } from './frames.js';

/** Two ends of a connection over the loopback. */
async function socketPair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const near = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [far] = (await once(server, 'connection')) as [Socket];
  server.close();
  near.on('error', () => undefined);
  cleanup.push(() => {
    near.destroy();
    far.destroy();
  });
  return [near, far];
}

const cleanup: (() => void)[] = [];
afterEach(() => {
  for (const close of cleanup.splice(0)) close();
});

async function connected(onStream: (stream: SpdyStream) => void, limits?: SpdyLimits) {
  const [near, far] = await socketPair();
  const connection: SpdyConnection = spdyConnection(far, onStream, limits);
  return { client: spdyClient(near), connection };
}

/** Waits until a count has not moved for a while. */
async function stopped(count: () => number): Promise<void> {
  for (let last = -1; count() !== last; ) {
    last = count();
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

async function collected(stream: SpdyStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream.input) parts.push(part);
  return Buffer.concat(parts);
}

describe('streams', () => {
  it('carry headers, bytes both ways, and their ends', async () => {
    const seen: [number, Record<string, string>][] = [];
    const { client } = await connected(async stream => {
      seen.push([stream.id, Object.fromEntries(stream.headers)]);
      const text = await collected(stream);
      await stream.write(Buffer.from(`got ${text}`));
      stream.end();
    });
    const first = await client.open({ StreamType: 'stdin', requestid: '7' });
    const second = await client.open({ streamtype: 'stdout' });
    await first.replied;
    await second.write('two');
    await first.write('one');
    second.end();
    first.end();
    await Promise.all([first.ended, second.ended]);
    expect([`${first.received()}`, `${second.received()}`]).toEqual(['got one', 'got two']);
    expect(seen).toEqual([
      [1, { streamtype: 'stdin', requestid: '7' }],
      [3, { streamtype: 'stdout' }],
    ]);
  });

  it('answer pings, and half-close in either order', async () => {
    const { client } = await connected(async stream => {
      await stream.write(Buffer.from('first'));
      stream.end();
      await stream.write(Buffer.from('never sent'));
      expect(`${await collected(stream)}`).toBe('later');
    });
    const stream = await client.open({ streamtype: 'data' });
    await stream.ended;
    expect(`${stream.received()}`).toBe('first');
    await stream.write('later');
    stream.end();
    await client.ping();
    expect(client.frames.filter(type => type === 'ping')).toHaveLength(1);
  });

  it('opened with FIN have an input that has ended', async () => {
    const { client } = await connected(async stream => {
      await stream.write(Buffer.from(`${(await collected(stream)).length}`));
      stream.end();
    });
    const stream = await client.open({ streamtype: 'x' }, { fin: true });
    await stream.ended;
    expect(`${stream.received()}`).toBe('0');
  });

  it('are told of a reset, and of the end of the connection', async () => {
    const seen: SpdyStream[] = [];
    const { client, connection } = await connected(stream => void seen.push(stream));
    const stream = await client.open({ streamtype: 'x' });
    await client.open({ streamtype: 'y' });
    stream.reset();
    await client.ping();
    expect(seen.map(({ signal }) => signal.aborted)).toEqual([true, false]);
    expect((await collected(seen[0]!)).length).toBe(0);
    client.close();
    await new Promise(resolve => connection.signal.addEventListener('abort', resolve));
    expect(seen[1]!.signal.aborted).toBe(true);
    expect((await collected(seen[1]!)).length).toBe(0);
    expect(seen[1]!.write(Buffer.from('nobody is there'))).toBeUndefined();
  });

  it('that are refused by the server are reset, and the others go on', async () => {
    const { client } = await connected(stream => {
      if (stream.headers.get('streamtype') === 'wrong') throw new Error('not here');
      stream.end();
    });
    const wrong = await client.open({ streamtype: 'wrong' });
    await wrong.ended;
    expect(wrong.resetBy()).toBe(1);
    await (await client.open({ streamtype: 'right' })).ended;
  });

  it('are bounded in number, and there is room again when some have ended', async () => {
    const seen: SpdyStream[] = [];
    const { client } = await connected(stream => void seen.push(stream), { streams: 2 });
    await client.open({ n: '1' });
    await client.open({ n: '2' });
    const third = await client.open({ n: '3' });
    await third.ended;
    expect(third.resetBy()).toBe(3);
    seen[0]!.reset();
    await (await client.open({ n: '4' })).replied;
    expect(seen.map(({ id }) => id)).toEqual([1, 3, 7]);
  });
});

describe('pace', () => {
  it('a reader that is behind stops the client; reading, leaving or a reset lets it go on', async () => {
    for (const goOn of ['read', 'ignore', 'reset'] as const) {
      const seen: SpdyStream[] = [];
      const { client } = await connected(stream => void seen.push(stream), { unreadBytes: 100_000 });
      const stream = await client.open({ streamtype: 'data' });
      await stream.replied;
      let written = 0;
      const writing = (async () => {
        for (; written < 400; written++) await stream.write(Buffer.alloc(100_000, written));
        stream.end();
      })();
      // The kernel's buffers take some megabytes; all 40 MB only a reader can take.
      await stopped(() => written);
      expect(written).toBeLessThan(300);
      if (goOn === 'read') expect((await collected(seen[0]!)).length).toBe(40_000_000);
      if (goOn === 'ignore') seen[0]!.ignoreInput();
      if (goOn === 'reset') seen[0]!.reset();
      await writing;
      await client.ping();
    }
  });

  it('a client that does not read makes the writer wait, and lets it go when it leaves', async () => {
    const seen: SpdyStream[] = [];
    const [near, far] = await socketPair();
    spdyConnection(far, stream => void seen.push(stream));
    near.write(encodeSynStream(1, await headerCompressor()(new Map([['streamtype', 'stdout']]))));
    while (seen.length === 0) await new Promise(resolve => setImmediate(resolve));
    let waiting: Promise<void> | undefined;
    for (let i = 0; i < 400 && !waiting; i++) waiting = seen[0]!.write(Buffer.alloc(100_000));
    expect(waiting).toBeInstanceOf(Promise);
    near.destroy();
    await waiting;
  });
});

describe('closing', () => {
  it('sends what was written first', async () => {
    const { client, connection } = await connected(stream => {
      void stream.write(Buffer.alloc(300_000, 1));
      stream.end();
      connection.close();
    });
    const stream = await client.open({ streamtype: 'stdout' });
    await client.closed;
    expect(stream.received().length).toBe(300_000);
    expect(client.frames.at(-1)).toBe('go-away');
  });
});
