import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { corev1 } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { SimulatedExec } from '../runtime/simulated/program.js';
import { type Laboratory, laboratory } from './testing/laboratory.js';

let lab: Laboratory;
let server: Server | undefined;
afterEach(async () => {
  await lab?.close();
  server?.closeAllConnections();
  server?.close();
  server = undefined;
});

const exec: corev1.Probe = { exec: { command: ['check'] }, periodSeconds: 2, failureThreshold: 2 };
const withProbes = (probes: Partial<corev1.Container>): Partial<corev1.PodSpec> => ({
  containers: [{ name: 'app', image: 'app:1', ...probes }],
});

/** A container whose `check` answers what the test says. */
async function checked(answer: () => SimulatedExec) {
  lab = await laboratory({ program: () => ({ exec: answer }) });
  await lab.start();
}

describe('readiness', () => {
  it('is false until the probe succeeds, follows its thresholds, and never restarts anything', async () => {
    let ok = false;
    await checked(() => (ok ? {} : { exitCode: 1, stderr: 'not yet' }));
    await lab.pod(withProbes({ readinessProbe: { ...exec, successThreshold: 2 } }));
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(10_000);
    expect(lab.container()).toMatchObject({ ready: false, started: true, restartCount: 0 });
    expect(lab.condition('Ready')?.status).toBe('False');
    expect(lab.events()).toContain('Warning Unhealthy: Readiness probe failed: not yet');
    ok = true;
    await lab.advance(2_100);
    expect(lab.container().ready).toBe(false);
    await lab.advance(2_000);
    expect(lab.container().ready).toBe(true);
    ok = false;
    await lab.advance(2_000);
    expect(lab.container().ready).toBe(true);
    await lab.advance(2_100);
    expect(lab.container()).toMatchObject({ ready: false, restartCount: 0 });
  });

  it('waits its initial delay', async () => {
    await checked(() => ({}));
    await lab.pod(withProbes({ readinessProbe: { ...exec, initialDelaySeconds: 10 } }));
    await lab.advance(9_500);
    expect(lab.container().ready).toBe(false);
    await lab.advance(1_500);
    expect(lab.container().ready).toBe(true);
  });
});

describe('liveness', () => {
  it('restarts the container after failureThreshold failures in a row', async () => {
    let ok = true;
    await checked(() => (ok ? {} : { exitCode: 1 }));
    await lab.pod(withProbes({ livenessProbe: exec }));
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(20_000);
    expect(lab.container().restartCount).toBe(0);
    ok = false;
    await lab.until(() => lab.container().restartCount === 1, 'restarted', 6_000);
    await lab.advance(500);
    expect(lab.events()).toContain('Warning Unhealthy: Liveness probe failed: command ended with exit code 1');
    expect(lab.events()).toContain('Normal Killing: Container app failed liveness probe, will be restarted');
  });

  it("gives a container the probe's own grace", async () => {
    let ok = true;
    lab = await laboratory({ program: () => ({ ignoresTerm: true, exec: () => (ok ? {} : { exitCode: 1 }) }) });
    await lab.start();
    const livenessProbe = { ...exec, terminationGracePeriodSeconds: 1 };
    await lab.pod({ terminationGracePeriodSeconds: 600, ...withProbes({ livenessProbe }) });
    await lab.until(() => lab.status().phase === 'Running');
    ok = false;
    await lab.until(() => lab.container().restartCount === 1, 'restarted', 10_000);
  });

  it('does not hold up or restart a pod that is being deleted', async () => {
    let ok = true;
    lab = await laboratory({ program: () => ({ ignoresTerm: true, exec: () => (ok ? {} : { exitCode: 1 }) }) });
    await lab.start();
    await lab.pod({ terminationGracePeriodSeconds: 20, ...withProbes({ livenessProbe: exec }) });
    await lab.until(() => lab.status().phase === 'Running');
    const { Pod } = await import('@orbitkit/core');
    await lab.api.client.delete(Pod, { namespace: 'default', name: 'web' });
    ok = false;
    await lab.advance(15_000);
    expect(await lab.running()).toHaveLength(1);
    expect(lab.events().some(event => event.includes('failed liveness probe'))).toBe(false);
  });

  it('with policy Never stops the container for good', async () => {
    await checked(() => ({ exitCode: 1 }));
    await lab.pod({ restartPolicy: 'Never', ...withProbes({ livenessProbe: exec }) });
    await lab.until(() => lab.status().phase === 'Succeeded' || lab.status().phase === 'Failed');
    expect(lab.container().restartCount).toBe(0);
  });
});

describe('startup', () => {
  it('holds liveness and readiness back until it succeeds', async () => {
    let started = false;
    const asked: string[] = [];
    lab = await laboratory({
      program: () => ({
        exec: command => {
          asked.push(command[0]!);
          return command[0] === 'startup' && !started ? { exitCode: 1 } : {};
        },
      }),
    });
    await lab.start();
    const probe = (name: string): corev1.Probe => ({
      exec: { command: [name] },
      periodSeconds: 2,
      failureThreshold: 30,
    });
    await lab.pod(
      withProbes({
        startupProbe: probe('startup'),
        livenessProbe: probe('liveness'),
        readinessProbe: probe('readiness'),
      }),
    );
    await lab.until(() => lab.status().phase === 'Running');
    await lab.advance(10_000);
    expect(new Set(asked)).toEqual(new Set(['startup']));
    expect(lab.container()).toMatchObject({ started: false, ready: false });
    started = true;
    await lab.until(() => lab.container().ready, 'ready soon after', 3_000);
    expect(lab.container().started).toBe(true);
    const count = asked.filter(name => name === 'startup').length;
    await lab.advance(10_000);
    expect(asked.filter(name => name === 'startup')).toHaveLength(count);
  });

  it('restarts a container that does not start in time', async () => {
    await checked(() => ({ exitCode: 1 }));
    await lab.pod(withProbes({ startupProbe: exec }));
    await lab.until(() => lab.container().restartCount === 1);
    expect(lab.events()).toContain('Normal Killing: Container app failed startup probe, will be restarted');
  });
});

describe('actions', () => {
  async function httpServer(
    answer: (url: string, headers: Record<string, unknown>) => { status: number; location?: string },
  ) {
    server = createServer((request, response) => {
      const { status, location } = answer(request.url!, request.headers);
      response.writeHead(status, location ? { location } : {}).end('body');
    });
    await new Promise<void>(resolve => server!.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  it.each([
    { name: 'httpGet 200', path: '/ok', ready: true },
    { name: 'httpGet 500', path: '/bad', ready: false, output: 'HTTP probe failed with statuscode: 500' },
    { name: 'httpGet that redirects to a good page', path: '/moved', ready: true },
    {
      name: 'httpGet that redirects to a bad page',
      path: '/lost',
      ready: false,
      output: 'HTTP probe failed with statuscode: 500',
    },
    { name: 'httpGet that redirects for ever', path: '/loop', ready: false, output: 'stopped after 10 redirects' },
  ])('$name', async ({ path, ready, output }) => {
    const seen: Record<string, unknown>[] = [];
    const port = await httpServer((url, headers) => {
      seen.push(headers);
      if (url === '/moved') return { status: 302, location: '/ok' };
      if (url === '/lost') return { status: 301, location: '/bad' };
      if (url === '/loop') return { status: 302, location: '/loop' };
      return { status: url === '/ok' ? 200 : 500 };
    });
    lab = await laboratory();
    lab.paceMs = 5;
    await lab.start();
    const httpHeaders = [
      { name: 'X-Check', value: 'yes' },
      { name: 'Host', value: 'app.example' },
    ];
    await lab.pod({
      hostNetwork: true,
      containers: [
        {
          name: 'app',
          image: 'app:1',
          ports: [{ name: 'http', containerPort: port }],
          readinessProbe: { httpGet: { path, port: 'http', httpHeaders }, periodSeconds: 1, failureThreshold: 1 },
        },
      ],
    });
    const outcome = () => lab.container().ready || lab.events().some(event => event.includes('Unhealthy'));
    await lab.until(outcome, 'probed');
    expect(lab.container().ready).toBe(ready);
    expect(seen[0]).toMatchObject({ 'x-check': 'yes', host: 'app.example', 'user-agent': 'kube-probe/orbitkit' });
    if (output) expect(lab.events()).toContain(`Warning Unhealthy: Readiness probe failed: ${output}`);
  });

  it('tcpSocket: ready when something accepts, not ready when nothing does', async () => {
    const port = await httpServer(() => ({ status: 200 }));
    lab = await laboratory();
    lab.paceMs = 5;
    await lab.start();
    const spec = (number: number): Partial<corev1.PodSpec> => ({
      hostNetwork: true,
      containers: [{ name: 'app', image: 'app:1', readinessProbe: { tcpSocket: { port: number }, periodSeconds: 1 } }],
    });
    await lab.pod(spec(port), 'open');
    await lab.pod(spec(1), 'closed');
    const refused = () => lab.events('closed').some(event => event.includes('Unhealthy'));
    await lab.until(() => lab.container('open').ready && refused(), 'both were probed');
    expect(lab.container('closed').ready).toBe(false);
    expect(lab.events('closed').find(event => event.includes('Unhealthy'))).toContain('ECONNREFUSED');
  });

  it('a probe that takes longer than its timeout has failed', async () => {
    await checked(() => ({ runMs: 5_000 }));
    await lab.pod(withProbes({ readinessProbe: { ...exec, timeoutSeconds: 1 } }));
    await lab.advance(10_000);
    expect(lab.container().ready).toBe(false);
    expect(lab.events()).toContain('Warning Unhealthy: Readiness probe failed: timed out after 1s');
  });

  it('gRPC says that it is not supported', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod(withProbes({ readinessProbe: { grpc: { port: 1 }, periodSeconds: 1 } }));
    await lab.advance(3_000);
    expect(lab.events()).toContain(
      'Warning Unhealthy: Readiness probe failed: gRPC probes are not supported by this node; use httpGet, tcpSocket or exec',
    );
  });
});

describe('hooks', () => {
  const hook = (lifecycle: corev1.Lifecycle, grace = 30): Partial<corev1.PodSpec> => ({
    terminationGracePeriodSeconds: grace,
    containers: [{ name: 'app', image: 'app:1', lifecycle }],
  });
  const deleteWeb = async () => {
    const { Pod } = await import('@orbitkit/core');
    await lab.api.client.delete(Pod, { namespace: 'default', name: 'web' });
  };

  it('postStart holds readiness back until it is through', async () => {
    lab = await laboratory({ program: () => ({ exec: () => ({ runMs: 3_000 }) }) });
    await lab.start();
    await lab.pod(hook({ postStart: { exec: { command: ['warm-up'] } } }));
    await lab.until(() => lab.container().state?.running);
    expect(lab.container()).toMatchObject({ ready: false, started: false });
    await lab.until(() => lab.container().ready, 'ready', 4_000);
  });

  it('a postStart that fails ends the container', async () => {
    lab = await laboratory({ program: () => ({ exec: () => ({ exitCode: 9, stderr: 'no disk' }) }) });
    await lab.start();
    await lab.pod(hook({ postStart: { exec: { command: ['warm-up'] } } }));
    await lab.until(() => lab.container().state?.waiting?.reason === 'PostStartHookError');
    expect(lab.container().state?.waiting?.message).toBe('command ended with exit code 9: no disk');
    await lab.until(() => lab.container().restartCount > 0);
  });

  it('preStop runs before the signal, within the grace', async () => {
    let asked = 0;
    lab = await laboratory({
      program: () => ({
        exec: () => {
          asked += 1;
          return { runMs: 5_000 };
        },
      }),
    });
    await lab.start();
    await lab.pod(hook({ preStop: { exec: { command: ['drain'] } } }));
    await lab.until(() => lab.status().phase === 'Running');
    await deleteWeb();
    await lab.advance(4_500);
    expect(await lab.running()).toHaveLength(1);
    await lab.until(() => !lab.current(), 'deleted', 2_000);
    expect(asked).toBe(1);
  });

  it('a preStop longer than the grace is cut off; two seconds remain for the signal', async () => {
    lab = await laboratory({ program: () => ({ ignoresTerm: true, exec: () => ({ runMs: 600_000 }) }) });
    await lab.start();
    await lab.pod(hook({ preStop: { exec: { command: ['drain'] } } }, 4));
    await lab.until(() => lab.status().phase === 'Running');
    await deleteWeb();
    await lab.advance(5_500);
    expect(await lab.running()).toHaveLength(1);
    await lab.until(() => !lab.current(), 'deleted', 2_000);
    expect(lab.events()).toContain(
      'Warning FailedPreStopHook: PreStopHook failed: it did not end within the grace period of 4s',
    );
  });

  it('sleep is a hook of its own', async () => {
    lab = await laboratory();
    await lab.start();
    await lab.pod(hook({ preStop: { sleep: { seconds: 3 } } }));
    await lab.until(() => lab.status().phase === 'Running');
    await deleteWeb();
    await lab.advance(2_500);
    expect(await lab.running()).toHaveLength(1);
    await lab.until(() => !lab.current(), 'deleted', 1_500);
  });
});
