/**
 * A Galaxy of separate processes: 2,000 creates at 16 clients with a scheduler killed half-way end each in exactly one instance or one truthful
 * error; whichever role is killed, the next create works.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { instancesByKey, percentile, runCreates } from '@orbitkit/example-galaxy/creates';
import { type GalaxyProcesses, startGalaxy } from '@orbitkit/example-galaxy/processes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventually } from './cluster.js';

let directory: string;
let galaxy: GalaxyProcesses | undefined;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'orbitkit-galaxy-'));
});
afterEach(async () => {
  const pids = galaxy?.roles.map(({ child }) => child.pid!) ?? [];
  await galaxy?.stop();
  galaxy = undefined;
  await rm(directory, { recursive: true, force: true });
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
}, 90_000);

const create = async (base: string, token: string, key: string) => {
  const response = await fetch(`${base}/v1/instances`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': key },
    body: JSON.stringify({ function: `f-${key}`, image: 'bench' }),
    signal: AbortSignal.timeout(20_000),
  });
  return { status: response.status, text: await response.text() };
};

describe('a Galaxy of processes', () => {
  it('loses and doubles nothing in 2,000 creates with a scheduler killed half-way', async () => {
    const running = await startGalaxy(directory, {
      gateways: 1,
      dispatchers: 1,
      schedulers: 2,
      nodes: 2,
      runtime: 'simulated',
    });
    galaxy = running;
    const count = 2_000;
    const { seconds, latencies, created, errors } = await runCreates(running, {
      count,
      clients: 16,
      after: { answers: count / 2, run: () => running.kill('scheduler-1', 'SIGKILL') },
    });
    const byKey = await instancesByKey(running);
    console.log(
      `${created.length} created, ${errors.length} errors, ${(created.length / seconds).toFixed(0)}/s, p99 ${percentile(latencies, 0.99).toFixed(0)} ms`,
    );
    for (const { status, body } of errors.slice(0, 3)) console.log(`${status} ${body.trim().slice(0, 800)}`);
    expect(created.length + errors.length).toBe(count);
    expect(created.length).toBeGreaterThan(count / 2);
    const problems: string[] = [];
    for (const { key, id } of created) {
      const ids = byKey.get(key) ?? [];
      if (ids.length !== 1 || ids[0] !== id)
        problems.push(`${key}: answered ${id}, the nodes have ${ids.join(', ') || 'nothing'}`);
    }
    // An error is truthful when nothing runs for it, or when it says itself that this is not known.
    for (const { key, status, body } of errors) {
      const ids = byKey.get(key) ?? [];
      if (ids.length > 1) problems.push(`${key}: ${ids.length} instances`);
      if (status < 400 || body.trim() === '') problems.push(`${key}: ${status} ${body}`);
      if (ids.length > 0 && status !== 504) problems.push(`${key}: answered ${status} ${body}, but ${ids.join()} runs`);
    }
    expect(problems).toEqual([]);
    const asked = new Set([...created, ...errors].map(({ key }) => key));
    expect([...byKey.keys()].filter(key => !asked.has(key))).toEqual([]);
  }, 90_000);

  it.each(['scheduler', 'dispatcher', 'node', 'coordinator', 'gateway'])(
    'creates again when a %s was killed',
    async kind => {
      const running = await startGalaxy(directory, {
        gateways: 2,
        dispatchers: 2,
        schedulers: 2,
        nodes: 2,
        runtime: 'simulated',
      });
      galaxy = running;
      const gateway = (name: string) => running.roles.find(role => role.name === name)!.address;
      const [first, second] = [gateway('gateway-1'), gateway('gateway-2')];
      const used = new Set<string>();
      await eventually('both nodes have taken an instance', async () => {
        const { status, text } = await create(first, running.token, `before-${used.size}-${Math.random()}`);
        if (status !== 201) throw new Error(`${status} ${text}`);
        return used.add(JSON.parse(text).node).size === 2;
      });
      await running.kill(`${kind}-1`, 'SIGKILL');
      const base = kind === 'gateway' ? second : first;
      if (kind === 'node') {
        // What is sent to a node in the moment of its death has an unknown outcome, and the answer says so.
        await eventually(
          'the death is noticed',
          async () => {
            const { status, text } = await create(base, running.token, `dying-${Math.random()}`);
            if (status !== 201) expect(JSON.parse(text).code).toBe('Lost');
            return status === 201;
          },
          3_000,
        );
      }
      for (let round = 0; round < 8; round += 1) {
        const { status, text } = await create(base, running.token, `after-${round}`);
        expect(`${status} ${status === 201 ? '' : text}`).toBe('201 ');
        if (kind === 'node') expect(JSON.parse(text).node).toBe('node-2');
      }
    },
    60_000,
  );
});
