import { afterEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, inDefault, podOf } from './admission-fixture.js';
import { nodeCapacity } from './node-capacity.js';

let server: AdmissionServer;
afterEach(() => server?.stop());

const bind = (pod: string, node: string, query = '') =>
  server.post(`${inDefault('pods')}/${pod}/binding${query}`, {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { name: pod },
    target: { kind: 'Node', name: node },
  });

async function node(name: string, allocatable: Record<string, string>): Promise<void> {
  await server.post('/api/v1/nodes', { metadata: { name } });
  const { status } = await server.send('PATCH', `/api/v1/nodes/${name}/status`, {
    status: { allocatable, capacity: allocatable },
  });
  expect(status).toBe(200);
}

const pod = async (name: string, requests: Record<string, string>, spec: object = {}) =>
  expect((await server.post(inDefault('pods'), podOf(name, { requests }, spec))).status).toBe(201);

describe('NodeCapacity', () => {
  it('lets one of two bindings at the same instant through, and the other when there is room again', async () => {
    server = await admissionServer(nodeCapacity());
    await node('n', { cpu: '1', memory: '1Gi', pods: '10' });
    await pod('a', { cpu: '600m' });
    await pod('b', { cpu: '600m' });
    const answers = await Promise.all([bind('a', 'n'), bind('b', 'n')]);
    expect(answers.map(each => each.status).sort()).toEqual([201, 409]);
    const [winner, loser] = answers[0]!.status === 201 ? ['a', 'b'] : ['b', 'a'];
    const refused = answers.find(each => each.status === 409)!.body;
    expect(refused).toMatchObject({ reason: 'Conflict' });
    expect(refused.message).toContain('node "n" has not enough cpu: requested 600, used 600, allocatable 1000');
    expect((await bind(loser!, 'n')).status).toBe(409);
    await server.send('DELETE', `${inDefault('pods')}/${winner}?gracePeriodSeconds=0`);
    expect((await bind(loser!, 'n')).status).toBe(201);
  });

  it('counts pods that named their node, and those that ended no more', async () => {
    server = await admissionServer(nodeCapacity());
    await node('n', { cpu: '1', pods: '2' });
    await pod('direct', { cpu: '900m' }, { nodeName: 'n' });
    await pod('a', { cpu: '200m' });
    expect((await bind('a', 'n')).status).toBe(409);
    await server.send('PATCH', `${inDefault('pods')}/direct/status`, { status: { phase: 'Succeeded' } });
    expect((await bind('a', 'n')).status).toBe(201);
    await pod('b', {});
    await pod('c', {});
    expect((await bind('b', 'n')).status).toBe(201);
    expect((await bind('c', 'n')).body.message).toContain('not enough pods: requested 1, used 2, allocatable 2');
  });

  it('gives back what a binding that failed had taken; a dry run takes nothing', async () => {
    server = await admissionServer(nodeCapacity());
    await node('n', { cpu: '1' });
    await pod('gated', { cpu: '1' }, { schedulingGates: [{ name: 'wait' }] });
    await pod('a', { cpu: '1' });
    expect((await bind('gated', 'n')).status).toBe(409);
    expect((await bind('a', 'n', '?dryRun=All')).status).toBe(201);
    expect((await bind('a', 'n', '?dryRun=All')).status).toBe(201);
    expect((await bind('a', 'n')).status).toBe(201);
  });

  it('has no opinion on nodes and resources that it does not know', async () => {
    server = await admissionServer(nodeCapacity());
    await node('n', { cpu: '1' });
    const licences = { 'example.com/licence': '3' };
    const made = await server.post(inDefault('pods'), podOf('a', { requests: licences, limits: licences }));
    expect(made.status).toBe(201);
    await pod('b', { cpu: '900' });
    expect((await bind('a', 'n')).status).toBe(201);
    expect((await bind('b', 'elsewhere')).status).toBe(201);
  });
});
