/** The harness finds what it is for, and its dead are dead. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ConfigMap, controllerReference, manualClock, Secret, type Transport } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { controller } from '../../controller-builder.js';
import { type KillEverywhereOptions, killEverywhere } from './kill-everywhere.js';
import { mortalLife } from './mortal-transport.js';

const namespace = 'default';
const key = { name: 'a', namespace };

/** Copies a ConfigMap into a Secret. */
const copies = (copy: { name?: string; generateName?: string }, remember: boolean) =>
  controller(ConfigMap)
    .owns(Secret)
    .reconcile(async ({ object, read, client }) => {
      const known = remember
        ? object.metadata.annotations?.['copied']
        : read(Secret)
            .list(namespace)
            .some(({ metadata }) => metadata.name === copy.name);
      if (known) return;
      await client.create(Secret, {
        metadata: { ...copy, namespace, ownerReferences: [controllerReference(object)] },
        stringData: object.data ?? {},
      } as never);
      if (remember) {
        const patch = { metadata: { annotations: { copied: 'yes' } } };
        await client.patch(ConfigMap, object.metadata, { type: 'merge', patch });
      }
    });
const options = (controllers: KillEverywhereOptions['controllers']): KillEverywhereOptions => ({
  controllers,
  kinds: [ConfigMap, Secret],
  async scenario({ client, until }) {
    await client.create(ConfigMap, { metadata: key, data: { k: 'v' } });
    await until(async () => (await client.list(Secret)).items.length > 0);
  },
});

it('a controller that looks before it writes ends the same', async () => {
  const { kills, steps } = await killEverywhere(options(() => [copies({ name: 'copy' }, false)]));
  expect(kills).toBe(steps.length);
  expect(steps).toContain('POST /api/v1/namespaces/default/secrets');
});

it('one that writes twice when it dies between two writes is found, with the step', async () => {
  const bad = options(() => [copies({ generateName: 'copy-' }, true)]);
  await expect(killEverywhere({ ...bad, patienceMs: 1_000 })).rejects.toThrow(
    /^killed at step \d+, PATCH \/api\/v1\/namespaces\/default\/configmaps\/a: the end is another one:\n[\s\S]*copy-<random>/,
  );
});

it('one that keeps in memory what it must not forget is found', async () => {
  const forgetful = () => {
    let last = '';
    return controller(ConfigMap)
      .named('forgetful')
      .reconcile(async ({ object, client }) => {
        const seen = object.data?.['k'] ?? '';
        if (seen === last) return;
        const before = last;
        last = seen;
        await client.create(Secret, { metadata: { name: `from-${before || 'nothing'}-to-${seen}`, namespace } });
      });
  };
  await expect(
    killEverywhere({
      controllers: () => [forgetful()],
      kinds: [Secret],
      patienceMs: 1_000,
      async scenario({ client, until }) {
        await client.create(ConfigMap, { metadata: key, data: { k: '1' } });
        await until(async () => (await client.list(Secret)).items.length === 1);
        await client.patch(ConfigMap, key, { type: 'merge', patch: { data: { k: '2' } } });
        await until(async () => (await client.list(Secret)).items.length === 2);
      },
    }),
  ).rejects.toThrow('from-nothing-to-2');
});

it('a scenario that fails by itself says so', async () => {
  const never = { ...options(() => []), scenario: async () => Promise.reject(new Error('no')) };
  await expect(killEverywhere(never)).rejects.toThrow('not killed: no');
});

it('is bounded', async () => {
  await expect(killEverywhere({ ...options(() => [copies({ name: 'copy' }, false)]), maxKills: 0 })).rejects.toThrow(
    'the scenario has more than 0 steps',
  );
});

it('runs as the README shows it', async () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const example = /```ts\n([^`]*killEverywhere[^`]*)```/.exec(readFileSync(`${root}README.md`, 'utf8'))![1]!;
  const folder = mkdtempSync(join(root, '.readme-'));
  const before = `
    import { controller } from '@orbitkit/controllers';
    import { killEverywhere, playedPods } from '@orbitkit/controllers/testing';
    import { ConfigMap, Secret } from '@orbitkit/core';
    const copies = () => controller(ConfigMap).owns(Secret).reconcile(async ({ object, read, client }) => {
      const { name, namespace } = object.metadata;
      if (!read(Secret).has({ name, namespace })) await client.create(Secret, { metadata: { name, namespace } });
    });\n`;
  try {
    writeFileSync(join(folder, 'example.ts'), `${before}${example}\nexport const outcome = { kills, steps };`);
    const { outcome } = await import(/* @vite-ignore */ pathToFileURL(join(folder, 'example.ts')).href);
    expect(outcome.kills).toBeGreaterThan(0);
    expect(outcome.steps).toHaveLength(outcome.kills);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

describe('a mortal life', () => {
  const reached: string[] = [];
  const inner = {
    async request({ path }: { path: string }) {
      reached.push(path);
      return { status: 200 };
    },
  } as unknown as Transport;
  const get = (path: string) => ({ method: 'GET' as const, path });

  it('ends at its step: that call and all later ones never reach the server', async () => {
    const life = mortalLife(inner, manualClock(), 2);
    await life.transport.request(get('/one'));
    await life.transport.request(get('/watched?watch=true'));
    await life.transport.request(get('/api/v1/namespaces/default/events'));
    expect(life.death.aborted).toBe(false);
    await expect(life.transport.request(get('/two'))).rejects.toThrow('killed');
    await expect(life.transport.request(get('/three'))).rejects.toThrow('killed');
    await expect(life.transport.connect('/four', { protocols: [] })).rejects.toThrow('killed');
    expect(reached).toEqual(['/one', '/watched?watch=true', '/api/v1/namespaces/default/events']);
    expect([life.death.aborted, life.steps, life.refused]).toEqual([true, ['GET /one', 'GET /two'], 2]);
  });

  it('ends in a wait, and its timers do nothing any more', async () => {
    const clock = manualClock();
    const life = mortalLife(inner, clock, 1);
    let rang = false;
    life.clock.setTimer(10, () => {
      rang = true;
    });
    await expect(life.clock.sleep(1_000)).rejects.toThrow('killed');
    await clock.advance(2_000);
    expect([rang, life.steps, clock.pending]).toEqual([false, ['wait'], 0]);
  });

  it('sees no answer of what was in flight', async () => {
    let answer: (value: object) => void = () => {};
    const slow = { request: () => new Promise(resolve => (answer = resolve)) } as unknown as Transport;
    const life = mortalLife(slow, manualClock(), 2);
    const first = life.transport.request(get('/one'));
    await expect(life.transport.request(get('/two'))).rejects.toThrow('killed');
    answer({ status: 200 });
    await expect(first).rejects.toThrow('killed');
  });
});
