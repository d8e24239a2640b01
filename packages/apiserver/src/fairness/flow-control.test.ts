import { manualClock, metrics, type UserInfo } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { ApiRequest } from '../http/exchange.js';
import { Query } from '../http/query.js';
import { type RequestInfo, requestInfoOf } from '../http/request-info.js';
import { type Admission, type FlowControlOptions, flowControl } from './flow-control.js';

const user = (username: string, ...groups: string[]): UserInfo => ({
  username,
  groups: [...groups, 'system:authenticated'],
});
const alice = user('alice');
const bob = user('bob');
const master = user('root', 'system:masters');
const node = user('system:node:n1', 'system:nodes');
const account = user('system:serviceaccount:default:app', 'system:serviceaccounts');
const systemAccount = user('system:serviceaccount:kube-system:gc', 'system:serviceaccounts');

function asked(method: string, target: string): { request: ApiRequest; info: RequestInfo; abort: AbortController } {
  const [path, query] = target.split('?');
  const abort = new AbortController();
  const parsed = new Query(query ?? '');
  return {
    request: { query: parsed, signal: abort.signal } as ApiRequest,
    info: requestInfoOf(method, path!, parsed),
    abort,
  };
}

function control(options: Partial<FlowControlOptions> = {}) {
  const clock = manualClock(0);
  const registry = metrics();
  const flow = flowControl({ clock, metrics: registry, ...options });
  const admit = (who: UserInfo, method = 'GET', target = '/api/v1/namespaces/default/pods/a') => {
    const { request, info, abort } = asked(method, target);
    return { admission: flow.admit(request, info, who), abort };
  };
  return { clock, registry, flow, admit };
}
const now = (admission: Admission | Promise<Admission>): Admission => {
  if (admission instanceof Promise) throw new Error('it had to wait');
  return admission;
};

describe('flow control', () => {
  it.each([
    [master, 'GET', '/api/v1/pods', 'exempt', 'exempt'],
    [alice, 'GET', '/healthz', 'exempt', 'probes'],
    [node, 'PATCH', '/api/v1/nodes/n1/status', 'node-high', 'system-node-high'],
    [node, 'PUT', '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1', 'node-high', 'system-node-high'],
    [node, 'GET', '/api/v1/namespaces/a/secrets/b', 'system', 'system-nodes'],
    [
      user('system:kube-scheduler'),
      'PUT',
      '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/s',
      'leader-election',
      'system-leader-election',
    ],
    [user('system:kube-scheduler'), 'GET', '/api/v1/pods', 'workload-high', 'kube-scheduler'],
    [
      user('system:kube-controller-manager'),
      'PUT',
      '/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b',
      'workload-high',
      'endpoint-controller',
    ],
    [systemAccount, 'GET', '/api/v1/pods', 'workload-high', 'kube-system-service-accounts'],
    [account, 'GET', '/api/v1/pods', 'workload-low', 'service-accounts'],
    [alice, 'GET', '/api/v1/pods', 'global-default', 'global-default'],
    [{ username: 'nobody', groups: [] }, 'GET', '/api/v1/pods', 'catch-all', 'catch-all'],
  ])('%j %s %s belongs to level %s by schema %s', async (who, method, target, level, schema) => {
    const { admit, registry } = control();
    now(admit(who, method, target).admission).end();
    expect(await registry.text()).toContain(
      `apiserver_flowcontrol_dispatched_requests_total{priority_level="${level}",flow_schema="${schema}"} 1`,
    );
  });

  it('lets one in when another ends, in turns between users', async () => {
    const { admit } = control({ seats: 24 });
    const running: Admission[] = [];
    let waiting: Promise<Admission> | undefined;
    while (waiting === undefined) {
      const { admission } = admit(alice);
      if (admission instanceof Promise) waiting = admission;
      else running.push(admission);
    }
    expect(running.length).toBeGreaterThan(1);
    const order: string[] = [];
    const note = (name: string, admission: Admission | Promise<Admission>) =>
      Promise.resolve(admission).then(each => {
        order.push(name);
        return each;
      });
    const rest = [note('alice', waiting)];
    for (let i = 0; i < 20; i++) rest.push(note('alice', admit(alice).admission));
    rest.push(note('bob', admit(bob).admission));
    for (const each of running) each.end();
    for (const each of rest) (await each).end();
    expect(order.indexOf('bob')).toBeLessThan(8);
    expect(order).toHaveLength(22);
  });

  it('refuses with 429 and Retry-After when queues are full, and when it took too long', async () => {
    const { admit, clock, registry } = control({ seats: 1, waitLimitMs: 5_000 });
    now(admit(alice).admission);
    const waiting: Promise<unknown>[] = [];
    for (let i = 0; i < 400; i++) waiting.push(Promise.resolve(admit(alice).admission).catch(error => error));
    await clock.advance(1_000);
    const early = (await Promise.race(waiting.slice(-1))) as { code: number; details: { retryAfterSeconds: number } };
    expect([early.code, early.details.retryAfterSeconds]).toEqual([429, 1]);
    await clock.advance(4_000);
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 429 });
    const text = await registry.text();
    expect(text).toMatch(/rejected_requests_total\{.*reason="queue-full"\} 100\b/);
    expect(text).toMatch(/rejected_requests_total\{.*reason="time-out"\} 300\b/);
    expect(text).toMatch(/current_inqueue_requests\{.*global-default.*\} 0\b/);
    expect(clock.pending).toBe(0);
  });

  it('forgets who goes away while it waits', async () => {
    const { admit, clock } = control({ seats: 1 });
    const first = now(admit(alice).admission);
    const { admission, abort } = admit(alice);
    abort.abort(new Error('gone'));
    await expect(admission).rejects.toMatchObject({ code: 429 });
    expect(clock.pending).toBe(0);
    first.end();
    now(admit(alice).admission).end();
  });

  it('weighs a list by its objects, within what its level has', async () => {
    const { admit, registry } = control({ seats: 245, objectsOf: () => 750 });
    const list = now(admit(alice, 'GET', '/api/v1/pods').admission);
    const seats = async () => /current_executing_seats\{.*global-default.*\} (\d+)/.exec(await registry.text())?.[1];
    expect(await seats()).toBe('8');
    list.end();
    list.end();
    expect(await seats()).toBe('0');
  });

  it('never holds back administrators, and takes no seat for exec and the like', () => {
    const { admit } = control({ seats: 1 });
    now(admit(alice).admission);
    for (let i = 0; i < 100; i++) now(admit(master).admission);
    for (let i = 0; i < 100; i++) now(admit(alice, 'POST', '/api/v1/namespaces/default/pods/a/exec').admission);
    expect(admit(alice).admission).toBeInstanceOf(Promise);
  });
});
