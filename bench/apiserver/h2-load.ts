/**
 * HTTP/2 load over TLS: h2load (Debian's `nghttp2-client`) where it is installed, otherwise a client of our own over node:http2, which
 * costs more than the servers that it is to load. Which of them it was stands in the result.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Address } from './servers.js';

export interface H2Load {
  readonly address: Address;
  readonly path: string;
  /** Posted with every request; absent: GET. */
  readonly body?: string;
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
}
export interface H2Result {
  readonly by: 'h2load' | 'node:http2';
  readonly count: number;
  readonly seconds: number;
  /** Milliseconds. */
  readonly latencies: number[];
}

const h2load = spawnSync('h2load', ['--version']).status === 0;

/** @throws Error when an answer is no 2xx. */
export const runH2Load = (load: H2Load): Promise<H2Result> => (h2load ? withH2load(load) : withNode(load));

async function withH2load({ address, path, body, connections, streams, seconds }: H2Load): Promise<H2Result> {
  const dir = await mkdtemp(join(tmpdir(), 'orbitkit-h2load-'));
  try {
    const words = [`-c${connections}`, `-m${streams}`, `-D${seconds}`, `--log-file=${join(dir, 'log')}`];
    if (address.token) words.push('-H', `authorization: Bearer ${address.token}`);
    if (body !== undefined) {
      await writeFile(join(dir, 'body'), body);
      words.push('-H', 'content-type: application/json', '-d', join(dir, 'body'));
    }
    const child = spawn('h2load', [...words, `https://127.0.0.1:${address.port}${path}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', part => (output += part));
    const code = await new Promise(resolve => child.once('close', resolve));
    const status = /status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx/.exec(output);
    if (code !== 0 || !status || status.slice(2).some(each => each !== '0'))
      throw new Error(`h2load ended with ${code}:\n${output}`);
    const latencies: number[] = [];
    for (const line of (await readFile(join(dir, 'log'), 'utf8')).split('\n')) {
      const [, , micros] = line.split('\t');
      if (micros !== undefined) latencies.push(Number(micros) / 1_000);
    }
    return { by: 'h2load', count: Number(status[1]), seconds, latencies };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function withNode({ address, path, body, connections, streams, seconds }: H2Load): Promise<H2Result> {
  const sessions = Array.from({ length: connections }, () =>
    connect(`https://127.0.0.1:${address.port}`, { ca: address.authority! }),
  );
  const latencies: number[] = [];
  const began = performance.now();
  const end = began + seconds * 1_000;
  const headers = {
    ':method': body === undefined ? 'GET' : 'POST',
    ':path': path,
    ...(address.token ? { authorization: `Bearer ${address.token}` } : {}),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const once = (session: ClientHttp2Session) =>
    new Promise<void>((resolve, reject) => {
      const sentAt = performance.now();
      const stream = session.request(headers, { endStream: body === undefined });
      stream.on('response', answer => {
        if (Number(answer[':status']) >= 300) reject(new Error(`the answer was ${answer[':status']}`));
      });
      stream.on('error', reject);
      stream.on('end', () => {
        latencies.push(performance.now() - sentAt);
        resolve();
      });
      stream.resume();
      if (body !== undefined) stream.end(body);
    });
  try {
    await Promise.all(
      sessions.flatMap(session =>
        Array.from({ length: streams }, async () => {
          while (performance.now() < end) await once(session);
        }),
      ),
    );
    const took = (performance.now() - began) / 1_000;
    return { by: 'node:http2', count: latencies.length, seconds: took, latencies };
  } finally {
    for (const session of sessions) session.destroy();
  }
}
