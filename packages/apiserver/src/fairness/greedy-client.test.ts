/** One client with a thousand lists at a time, another with one request after the other. */

import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigMap, metrics, systemClock } from '@orbitkit/core';
import { expect, it } from 'vitest';
import { type TestServer, testServer } from '../http/test-server.js';
import { createAuthority, issueServingCertificate } from '../pki/index.js';
import { flowControl } from './flow-control.js';

const lists = 1_000;
const objects = 250;
const path = '/api/v1/namespaces/default/configmaps';

it('the greedy one does not keep the polite one waiting', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'orbitkit-greedy-'));
  const sessions: ClientHttp2Session[] = [];
  let server: TestServer | undefined;
  try {
    const authority = await createAuthority({ dir: directory });
    server = await testServer({
      handler: { flowControl: flowControl({ clock: systemClock, metrics: metrics(), objectsOf: () => objects }) },
      door: {
        tls: { ...(await issueServingCertificate(authority)), clientAuthority: authority.certificate },
        identify: async ({ headers }) => ({ username: headers['x-user'] ?? '', groups: ['system:authenticated'] }),
      },
    });
    for (let i = 0; i < objects; i++)
      await server.client.create(ConfigMap, {
        metadata: { name: `c${i}`, namespace: 'default' },
        data: { text: 'x'.repeat(500) },
      });
    const session = () => {
      const made = connect(`https://127.0.0.1:${server!.port}`, { ca: authority.certificate });
      made.on('error', () => undefined);
      sessions.push(made);
      return made;
    };
    const ask = (by: ClientHttp2Session, user: string, target: string) =>
      new Promise<number>(resolve => {
        const stream = by.request({ ':path': target, 'x-user': user });
        let status = 0;
        stream.on('response', headers => {
          status = Number(headers[':status']);
        });
        stream.on('error', () => undefined);
        stream.on('close', () => resolve(status));
        stream.resume();
      });

    let listed = 0;
    let refused = 0;
    let lost = 0;
    const greedy = Array.from({ length: lists / 100 }, session).flatMap(by =>
      Array.from({ length: 100 }, () =>
        ask(by, 'greedy', path).then(status => {
          if (status === 200) listed++;
          else if (status === 429) refused++;
          else lost++;
        }),
      ),
    );
    const polite = session();
    const overtaken: number[] = [];
    await ask(polite, 'polite', `${path}/c0`);
    while (listed + refused + lost < lists && overtaken.length < 200) {
      const before = listed;
      expect(await ask(polite, 'polite', `${path}/c1`)).toBe(200);
      overtaken.push(listed - before);
    }
    await Promise.all(greedy);
    expect([listed + refused, lost]).toEqual([lists, 0]);
    expect(listed).toBeGreaterThan(100);
    expect(overtaken.length).toBeGreaterThan(5);
    // Seats for some lists are taken when it comes; it is not behind all that wait.
    overtaken.sort((a, b) => a - b);
    expect(overtaken[overtaken.length >> 1]).toBeLessThan(60);
  } finally {
    for (const each of sessions) each.destroy();
    await server?.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
