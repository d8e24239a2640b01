/** What runs in pods: wait, exec, attach, cp, port-forward, describe, events, top. */
import { readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, rowsOf, script } from '../tour.js';

export const pods: Chapter = {
  name: 'pods',
  steps: [
    {
      title: 'wait for conditions, fields, creation and the end',
      run: async tour => {
        const counting = 'i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.25; done';
        const file = await tour.file('pods.yaml', [script('worker', counting), echo('web', 2)]);
        const waiting = tour.minor >= 31 ? tour.ok('wait pod/worker --for=create --timeout=30s') : undefined;
        await tour.ok(['create', '-f', file]);
        if (waiting) expect(await waiting).toBe('pod/worker condition met\n');
        expect(await tour.ok('wait pod/worker --for=condition=Ready --timeout=60s')).toBe('pod/worker condition met\n');
        expect(await tour.ok(['wait', 'deploy/web', '--for=jsonpath={.status.readyReplicas}=2', '--timeout=60s'])).toBe(
          'deployment.apps/web condition met\n',
        );
        await tour.refused(
          'wait pod/worker --for=condition=Nothing --timeout=1s',
          'timed out waiting for the condition',
        );
      },
    },
    {
      title: 'exec',
      run: async tour => {
        expect(await tour.ok(['exec', 'worker', '--', 'echo', 'hi'])).toBe('hi\n');
        const failed = await tour.kubectl(['exec', 'worker', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
        expect(failed).toMatchObject({ code: 7, out: 'out\n', err: expect.stringMatching(/^err\n/) });
        const input = 'x'.repeat(300_000);
        expect(await tour.ok(['exec', '-i', 'worker', '--', 'cat'], { input })).toBe(input);
        await tour.ok('logs deploy/web');
        expect(await tour.ok(['exec', 'deploy/web', '--', 'printenv', 'PATH'])).toContain('/');
        await tour.refused(
          ['exec', 'worker', '-c', 'nope', '--', 'true'],
          'container nope is not valid for pod worker',
        );
        await tour.refused(
          ['exec', 'worker', '--', '/no/such/program'],
          /no such (file|program)|not found|executable/i,
        );
      },
    },
    {
      title: 'attach',
      run: async tour => {
        const attached = tour.start('attach worker');
        try {
          await eventually('what it says arrives', () => /line \d+\nline \d+\n/.test(attached.seen()));
        } finally {
          await attached.stop();
        }
      },
    },
    {
      title: 'cp there and back',
      run: async tour => {
        const bytes = Buffer.from(Array.from({ length: 50_000 }, (_, index) => index % 251));
        const source = await tour.file('blob', '');
        await writeFile(source, bytes);
        // A pod of the process runtime has no file system of its own.
        const inside = `${source}.inside`;
        const back = `${source}.back`;
        await tour.ok(['cp', source, `worker:${inside}`]);
        await tour.ok(['cp', `worker:${inside}`, back]);
        expect((await readFile(back)).equals(bytes)).toBe(true);
      },
    },
    {
      title: 'port-forward of a pod, a deployment and a service',
      run: async tour => {
        await tour.ok('expose deploy web --port=80 --target-port=8080');
        const [{ NAME: pod = '' } = {}] = rowsOf(await tour.ok('get pods -l app=web'));
        for (const target of [`pod/${pod}`, 'deploy/web', 'svc/web']) {
          const forward = tour.start(['port-forward', target, target.startsWith('svc') ? ':80' : ':8080']);
          try {
            const port = await eventually('the port is open', () => {
              const found = /127\.0\.0\.1:(\d+) ->/.exec(forward.seen());
              if (!found) throw new Error(forward.seen());
              return Number(found[1]);
            });
            // Each on a connection of its own: one that the program ends for its idleness may be taken up again just then.
            const ask = () => fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
            const answers = await Promise.all([1, 2, 3].map(() => ask().then(response => response.text())));
            for (const answer of answers) expect(answer).toContain('web-');
            // A connection that says nothing must not hold up the others.
            const silent = createConnection(port, '127.0.0.1');
            try {
              expect((await ask()).status).toBe(200);
            } finally {
              silent.destroy();
            }
          } finally {
            await forward.stop();
          }
        }
      },
    },
    {
      title: 'describe and events',
      run: async tour => {
        const text = await tour.ok('describe pod worker');
        expect(text).toMatch(/^Name:\s+worker$/m);
        expect(text).toMatch(/^\s+Image:\s+busybox$/m);
        expect(text).toMatch(/Normal\s+Scheduled\s+\S+\s+\S+\s+Successfully assigned pods\/worker/);
        expect(await tour.ok('describe svc web')).toMatch(/Endpoints:\s+\S+:8080,\S+:8080/);
        const events = rowsOf(await tour.ok('events --for pod/worker'));
        expect(events.map(({ REASON }) => REASON)).toEqual(expect.arrayContaining(['Scheduled', 'Started']));
        expect(
          rowsOf(await tour.ok(['get', 'events', '--field-selector=involvedObject.name=worker,reason=Scheduled'])),
        ).toHaveLength(1);
        expect(await tour.ok('events --types=Warning,Normal -A')).toContain('Scheduled');
        const watch = tour.start('events --for pod/watched --watch');
        try {
          await tour.ok('run watched --image=busybox --restart=Never -- true');
          await eventually('its events arrive', () => {
            if (!/Scheduled[\s\S]*Started/.test(watch.seen())) throw new Error(watch.seen());
          });
          expect(watch.seen()).not.toContain('worker');
        } finally {
          await watch.stop();
        }
        await tour.ok('delete pod watched --now --wait=false');
      },
    },
    {
      title: 'top',
      run: async tour => {
        await eventually('usage of the pod is known', async () => {
          expect(rowsOf(await tour.ok('top pod worker'))[0]).toMatchObject({
            'CPU(cores)': expect.stringMatching(/^\d+m$/),
          });
        });
        expect(rowsOf(await tour.ok('top pod -l app=worker --containers'))[0]).toMatchObject({
          POD: 'worker',
          NAME: 'main',
        });
        const nodes = rowsOf(await tour.ok('top node'));
        expect(nodes.map(({ NAME }) => NAME)).toEqual(['n1', 'n2']);
        for (const node of nodes)
          expect(node).toMatchObject({
            'CPU(cores)': expect.stringMatching(/^\d+m$/),
            'MEMORY(bytes)': expect.stringMatching(/^[1-9]\d*Mi$/),
          });
        expect(rowsOf(await tour.ok('top node n2 --sort-by=cpu'))).toHaveLength(1);
        await tour.refused('top pod nobody', 'NotFound');
      },
    },
    {
      title: 'wait until it is gone',
      run: async tour => {
        const gone = tour.ok('wait pod/worker --for=delete --timeout=60s');
        await tour.ok('delete pod worker --now --wait=false');
        expect(await gone).toBe('pod/worker condition met\n');
        expect(await tour.ok('wait pod/worker --for=delete --timeout=5s')).toBe('');
        await tour.ok('delete deploy/web svc/web --now --wait=false');
      },
    },
  ],
};
