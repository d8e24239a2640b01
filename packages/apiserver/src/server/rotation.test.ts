import fs from 'node:fs/promises';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { compose, manualClock, silentLogger } from '@orbitkit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createAuthority, issueServingCertificate } from '../pki/authority.js';
import { memoryStore } from '../storage/memory.js';
import { apiServer } from './api-server.js';

let dir: string;
beforeEach(async () => {
  dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-rotation-'));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

const day = 24 * 60 * 60_000;

/** What the server shows on a connection. */
function shown(url: string, ca: string, agent: https.Agent): Promise<{ serial: string; port: number | undefined }> {
  return new Promise((resolve, reject) => {
    https
      .get(`${url}/livez`, { ca, agent }, response => {
        const socket = response.socket as TLSSocket;
        const found = { serial: socket.getPeerCertificate().serialNumber, port: socket.localPort };
        response.resume().on('end', () => resolve(found));
      })
      .on('error', reject);
  });
}

it('serving certificate and authority are renewed before they expire, and connections stay', async () => {
  // Both are due a day and a half after the start (two thirds of a year and of ten years), which was three days ago for the client.
  const start = Date.now() - 3 * day;
  const pki = path.join(dir, 'pki');
  const old = await createAuthority({ dir: pki, clock: manualClock(start - 2432 * day) });
  const clock = manualClock(start);
  await issueServingCertificate(
    { ...old, clock: manualClock(start - 242 * day) },
    { hosts: ['127.0.0.1', '10.96.0.1'] },
  );
  const api = apiServer({
    store: memoryStore(),
    listen: { port: 0 },
    dataDir: dir,
    tls: { authority: await createAuthority({ dir: pki, clock }) },
  });
  const stopping = new AbortController();
  const cluster = compose({ log: silentLogger, clock }, api);
  const running = cluster.run({ signal: stopping.signal });
  const turn = () => new Promise(resolve => setTimeout(resolve, 5));
  const ticking = async (until: () => boolean) => {
    while (!until()) {
      await clock.advance(10);
      await turn();
    }
  };
  let up = false;
  let down = false;
  void cluster.ready.then(() => {
    up = true;
  });
  await ticking(() => up);
  const { url } = api.endpoint!;
  const kept = new https.Agent({ keepAlive: true, maxSockets: 1 });
  const first = await shown(url, old.certificate, kept);
  expect(await api.certificateAuthority()).toBe(old.certificate);

  let second = first;
  for (let i = 0; i < 200 && second.serial === first.serial; i++) {
    // It looks once a day.
    if (i < 3) await clock.advance(day);
    await turn();
    const once = new https.Agent();
    // Who knows only the authority's older certificate trusts what is served now: the key is the same.
    second = await shown(url, old.certificate, once);
    once.destroy();
  }
  expect(second.serial).not.toBe(first.serial);
  // The connection from before goes on, with the certificate that it began with.
  expect(await shown(url, old.certificate, kept)).toEqual(first);
  const renewed = await api.certificateAuthority();
  expect(renewed).not.toBe(old.certificate);
  expect((await createAuthority({ dir: pki, clock })).certificate).toBe(renewed);
  kept.destroy();
  stopping.abort();
  void running.finally(() => {
    down = true;
  });
  await ticking(() => down);
});
