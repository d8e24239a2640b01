import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { Node, Pod, writeKubeconfig } from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { execute } from '../main.js';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'orbit-simulate-'));
  await writeFile(join(cwd, 'jobs.csv'), 'time,name,cpu,memory,duration\n0,a,1,1Gi,60\n5,b,2,1Gi,\n');
  await writeFile(
    join(cwd, 'both.yaml'),
    `name: Both
until: 10m
nodes: [{ count: 3, cpu: 4, memory: 8Gi }]
workload:
  - trace: jobs.csv
  - group: web
    arrivals: { process: poisson, rate: 0.1 }
    lifetime: { distribution: exponential, mean: 2m }
    shapes: [{ cpu: 500m, memory: 1Gi }]
policies: [default, mostAllocated]
`,
  );
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const orbit = (...words: string[]) => orbitUntil(undefined, ...words);

/** Interrupted when it has written that. */
async function orbitUntil(enough: string | undefined, ...words: string[]) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const [out, err] = [text(stdout), text(stderr)];
  const controller = new AbortController();
  let written = '';
  stdout.on('data', chunk => {
    written += chunk;
    if (enough && written.includes(enough)) controller.abort();
  });
  const { signal } = controller;
  const code = await execute(words, { stdin: new PassThrough(), stdout, stderr, env: {}, cwd, signal });
  stdout.end();
  stderr.end();
  return { code, out: await out, err: await err };
}

it('compares the policies of a scenario with a trace, as text', async () => {
  const { code, out } = await orbit('simulate', 'both.yaml');
  expect(code).toBe(0);
  expect(out).toMatch(/^Both\n3 nodes, \d+ pods, 10m00s, seed 1\n/);
  expect(out).toMatch(/ default {2,}mostAllocated\n/);
  expect(out).toContain('decisions a second');
});

it('gives the same JSON for a seed, another for another', async () => {
  const run = (seed: string) => orbit('simulate', 'both.yaml', '-o', 'json', '--seed', seed);
  const [first, again, other] = [await run('7'), await run('7'), await run('8')];
  expect(JSON.parse(first.out)).toMatchObject({ name: 'Both', seed: 7, policies: [{ name: 'default' }, {}] });
  expect(again.out).toBe(first.out);
  expect(other.out).not.toBe(first.out);
});

it('makes a page', async () => {
  const { out } = await orbit('simulate', 'both.yaml', '-o', 'html');
  expect(out).toMatch(/^<!doctype html>/);
  expect(out).toContain('<svg');
});

it('says what is wrong, and fails', async () => {
  await writeFile(join(cwd, 'bad.yaml'), 'until: 1h\nnodes: []\nworkload: []\npolicies: [fastest]\n');
  const bad = await orbit('simulate', 'bad.yaml');
  expect(bad.code).toBe(1);
  expect(bad.err).toContain('bad.yaml: policies[0]: ');
  expect((await orbit('simulate', 'none.yaml')).err).toContain('none.yaml: no such file or folder');
  expect((await orbit('simulate', 'both.yaml', '-o', 'xml')).err).toContain('one of text, json, html');
  expect((await orbit('simulate', 'both.yaml', '--seed', 'x')).code).toBe(1);
});

it('replays what was recorded of a cluster', async () => {
  await using plane = await createTestControlPlane({ port: 0, housekeeping: false });
  const allocatable = { cpu: '4', memory: '8Gi', pods: '110' };
  const made = await plane.client.create(Node, { metadata: { name: 'a' }, spec: {} });
  const conditions = [{ type: 'Ready', status: 'True' as const }];
  await plane.client.updateStatus(Node, { ...made, status: { allocatable, conditions } });
  await plane.client.create(Pod, {
    metadata: { name: 'web', namespace: 'default' },
    spec: { nodeName: 'a', containers: [{ name: 'main', image: 'web' }] },
  });
  await writeKubeconfig(join(cwd, 'kubeconfig'), { name: 'c', server: plane.url! });
  const record = ['--kubeconfig', join(cwd, 'kubeconfig'), 'scheduler', 'record'];
  const recorded = await orbitUntil('"synced"', ...record);
  expect(recorded).toMatchObject({ code: 0, err: '' });
  await writeFile(join(cwd, 'r.jsonl'), recorded.out);
  await writeFile(join(cwd, 'replay.yaml'), 'recording: r.jsonl\nuntil: 1m\npolicies: [recorded, default]\n');
  const replayed = await orbit('simulate', 'replay.yaml', '-o', 'json');
  expect(replayed.err).toBe('');
  // Ends by itself as well.
  expect((await orbit(...record, '--for', '0.05')).code).toBe(0);
  expect((await orbit(...record, '--for', 'ever')).err).toContain('give seconds');
  const { nodes, pods, policies } = JSON.parse(replayed.out);
  expect([nodes, pods, policies[0].placements, policies[1].placements]).toEqual([1, 1, 1, 1]);
});
