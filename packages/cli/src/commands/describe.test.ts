/** `orbit describe` against an API server: events of both APIs, counted ones and series. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { ConfigMap, eventRecorder, eventSeriesRecorder, writeKubeconfig } from '@orbitkit/core';
import { afterEach, expect, it } from 'vitest';
import { execute } from '../main.js';

let folder: string | undefined;
afterEach(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
});

it('shows how often an event came, and by whom', async () => {
  await using plane = await createTestControlPlane({ port: 0, housekeeping: false });
  folder = await mkdtemp(join(tmpdir(), 'orbit-describe-'));
  const kubeconfig = join(folder, 'kubeconfig');
  await writeKubeconfig(kubeconfig, { name: 'c', server: plane.url! });
  const { client } = plane;
  const about = await client.create(ConfigMap, { metadata: { name: 'a', namespace: 'default' } });
  const stop = new AbortController();
  try {
    const newer = eventSeriesRecorder({ client, controller: 'newer', instance: 'newer-0', signal: stop.signal });
    const older = eventRecorder({ client, component: 'older', signal: stop.signal });
    for (let i = 0; i < 2; i++) {
      newer.event({ about, type: 'Warning', reason: 'Refused', action: 'Trying', note: 'no room' });
      older.event(about, 'Normal', 'Seen', 'there it is');
    }
    await newer.flush();
    await older.flush();
  } finally {
    stop.abort();
  }
  const stdout = new PassThrough();
  const told = text(stdout);
  const code = await execute(['--kubeconfig', kubeconfig, 'describe', 'configmap', 'a'], {
    stdin: new PassThrough(),
    stdout,
    stderr: new PassThrough().resume(),
    env: {},
    cwd: folder,
    signal: new AbortController().signal,
  });
  stdout.end();
  expect(code).toBe(0);
  const shown = await told;
  expect(shown).toMatch(/^ {2}Warning +Refused +\d+s \(x2\) +newer +no room$/m);
  expect(shown).toMatch(/^ {2}Normal +Seen +\d+s \(x2\) +older +there it is$/m);
});
