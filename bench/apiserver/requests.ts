/** G3 and G4: gets and creates over HTTPS with HTTP/2, 64 in flight (8 connections of 8 streams), beside a bare node:http2 server in the same run. */
import { connect } from 'node:http2';
import { median, percentile } from '../samples.js';
import { runH2Load } from './h2-load.js';
import { podBody, podsPath } from './pod.js';
import { type ServerProcess, serverProcess } from './server-process.js';
import type { Address } from './servers.js';

const rounds = 3;
const seconds = 3;

interface Rate {
  perSecond: number;
  cpuMicros: number;
  p50: number;
  p99: number;
  by: string;
}

async function measure(
  server: ServerProcess<Address>,
  verb: 'create' | 'get',
  connections: number,
  streams: number,
  duration = seconds,
): Promise<Rate> {
  const cpu = await server.cpuMicros();
  const {
    count,
    seconds: took,
    latencies,
    by,
  } = await runH2Load({
    address: server.address,
    connections,
    streams,
    seconds: duration,
    path: verb === 'create' ? podsPath : `${podsPath}/one`,
    ...(verb === 'create' ? { body: podBody({ generateName: 'bench-' }) } : {}),
  });
  return {
    perSecond: count / took,
    cpuMicros: ((await server.cpuMicros()) - cpu) / count,
    p50: median(latencies),
    p99: percentile(latencies, 0.99),
    by,
  };
}

const middle = (rates: Rate[]): Rate => rates.sort((a, b) => a.perSecond - b.perSecond)[rates.length >> 1]!;
const row = ({ perSecond, cpuMicros, p50, p99 }: Rate): string =>
  `${perSecond.toFixed(0).padStart(7)}/s  p50 ${p50.toFixed(2).padStart(6)} ms  p99 ${p99.toFixed(2).padStart(7)} ms  ${cpuMicros.toFixed(0).padStart(5)} us CPU`;

function post({ port, authority, token }: Address, path: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${port}`, { ca: authority! });
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/json',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    });
    let text = '';
    let status = 0;
    stream.setEncoding('utf8');
    stream.on('response', headers => {
      status = Number(headers[':status']);
    });
    stream.on('data', part => (text += part));
    stream.on('end', () => {
      session.close();
      if (status === 201) resolve(text);
      else reject(new Error(`creating the pod: ${status} ${text}`));
    });
    stream.end(body);
  });
}

export async function requests(): Promise<void> {
  const server = await serverProcess<Address>('orbitkit');
  const peer = await serverProcess<Address>('bare-h2');
  try {
    const body = podBody({ name: 'one' });
    const answer = await post(server.address, podsPath, body);
    await post(peer.address, '/answer', answer);
    console.log(
      `requests over TLS and HTTP/2: a pod of ${Buffer.byteLength(body)} bytes, stored and answered as ${Buffer.byteLength(answer)}; token, RBAC, defaults, admission, validation and fdatasync on our side, parse, stamp and stringify on the peer's`,
    );
    for (const verb of ['get', 'create'] as const) {
      // Just-in-time compilation.
      for (const each of [server, peer]) await measure(each, verb, 8, 8, 3);
      for (const [connections, streams] of [
        [1, 1],
        [8, 8],
      ] as const) {
        const ours: Rate[] = [];
        const theirs: Rate[] = [];
        for (let round = 0; round < rounds; round++) {
          ours.push(await measure(server, verb, connections, streams));
          theirs.push(await measure(peer, verb, connections, streams));
        }
        const [own, other] = [middle(ours), middle(theirs)];
        console.log(`${verb}, ${connections * streams} in flight (${own.by})`);
        console.log(`  orbitkit         ${row(own)}`);
        console.log(
          `  bare node:http2  ${row(other)}   orbitkit = ${(own.perSecond / other.perSecond).toFixed(2)}x the rate, ${(own.cpuMicros / other.cpuMicros).toFixed(1)}x the CPU`,
        );
      }
    }
    console.log(`the server holds ${((await server.memory()) / 2 ** 20).toFixed(0)} MB of memory at the end`);
  } finally {
    await Promise.all([server.stop(), peer.stop()]);
  }
}

/** G4 over many objects: creates with nothing there, and with 100,000 pods in the same namespace. */
export async function manyObjects(): Promise<void> {
  const present = 100_000;
  const server = await serverProcess<Address>('orbitkit');
  try {
    await measure(server, 'create', 8, 8, 3);
    const atFirst: Rate[] = [];
    for (let round = 0; round < rounds; round++) atFirst.push(await measure(server, 'create', 8, 8));
    let made = 0;
    while (made < present) made += (await measure(server, 'create', 8, 8, 5)).perSecond * 5;
    const later: Rate[] = [];
    for (let round = 0; round < rounds; round++) later.push(await measure(server, 'create', 8, 8));
    const [before, after] = [middle(atFirst), middle(later)];
    console.log('create, 64 in flight, over many objects');
    console.log(`  into an empty store        ${row(before)}`);
    console.log(
      `  with 100,000 pods present  ${row(after)}   ${(after.perSecond / before.perSecond).toFixed(2)}x the rate, ${((await server.memory()) / 2 ** 20).toFixed(0)} MB of memory`,
    );
  } finally {
    await server.stop();
  }
}
