/** The example policy in a running cluster: `orbit up` decides by the file, says so through the API, and so does a scheduler that is a process of its own. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Node, Pod, Quantity } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, layouts, startCluster, type TestCluster } from './cluster.js';

const policy = fileURLToPath(new URL('../examples/custom-policy/src/policy.ts', import.meta.url));
const manifest = fileURLToPath(new URL('../examples/custom-policy/manifests/batch.yaml', import.meta.url));

describe.each(layouts)('orbit --scheduler-plugin, %s', layout => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({
      layout,
      scheduler: ['--scheduler-plugin', policy, '--scheduler-weight', 'RoomForServices=7'],
    });
  }, 240_000);
  afterAll(() => cluster?.stop(), 90_000);
  const explain = async (...words: string[]) => {
    const ran = await cluster.orbit(['scheduler', 'explain', ...words]);
    expect(ran).toMatchObject({ code: 0, err: '' });
    return ran.out;
  };

  /** Nine tenths of a node's cpu: it fits, and the policy does not let it. */
  const mostOfNode = async () => {
    const { items } = await cluster.client.list(Node);
    return `${Number(Quantity.parse(items[0]!.status.allocatable!['cpu']!).milliValue()) * 0.9}m`;
  };

  it('decides by the file, and explain names it', async () => {
    await cluster.file('batch.yaml', await readFile(manifest, 'utf8'));
    expect(await cluster.orbit(['apply', '-f', 'batch.yaml'])).toMatchObject({ code: 0 });
    const report = await eventually('it is placed', async () => {
      const pod = await cluster.client.get(Pod, { namespace: 'default', name: 'report' });
      return pod.spec.nodeName !== undefined && pod;
    });
    const kept = await explain('report');
    expect(kept).toContain(`placed on ${(report as Pod).spec.nodeName}`);
    expect(kept).toMatch(/n1: \d+(\.\d+)? \(.*RoomForServices \d/);
    expect(kept).toMatch(/\(decided 20\S+Z by default-scheduler; --now decides again\)/);
    const again = JSON.parse(await explain('report', '--now', '-o', 'json'));
    expect(again).toMatchObject({ outcome: 'placed', scheduler: 'default-scheduler' });
    // The profile named is computed beside the scheduler, without its plugins.
    expect(await explain('report', '--profile', 'default')).not.toContain('RoomForServices');
  });

  it('a pod that does not exist is judged by it too', async () => {
    const large = (await readFile(manifest, 'utf8'))
      .replace('name: report', 'name: large')
      .replace('cpu: 100m', `cpu: ${await mostOfNode()}`);
    await cluster.file('large.yaml', large);
    const text = await explain('-f', 'large.yaml');
    expect(text).toContain('0/2 nodes are available: 2 batch would take the last 20 % of cpu');
    expect(text).toMatch(/n1: batch would take the last 20 % of cpu \(RoomForServices\)/);
    const listed = await cluster.orbit(['get', 'schedulingdecisions']);
    expect(listed.out).toMatch(/NAME\s+OUTCOME\s+NODE\s+FEASIBLE\s+DECIDED\nreport\s+placed\s+n[12]\s+2\/2\s+\d+s/);
  });
});

it('a file that cannot be used ends orbit up with its name and what is wrong', async () => {
  const cluster = await startCluster({ nodes: 1 });
  try {
    await cluster.file('broken.ts', 'export default {\n  name: "x" filter() {} };\n');
    for (const [file, says] of [
      ['broken.ts', /--scheduler-plugin broken\.ts: .*broken\.ts:2:13: /],
      ['missing.ts', /--scheduler-plugin missing\.ts: there is no such file/],
    ] as const) {
      const ran = await cluster.orbit([
        'up',
        '--data-dir',
        'other',
        '--listen',
        '127.0.0.1:0',
        '--scheduler-plugin',
        file,
      ]);
      expect(ran.code).toBe(1);
      expect(ran.err).toMatch(says);
    }
  } finally {
    await cluster.stop();
  }
}, 120_000);
