/** logs, with each of its parameters. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, script, type Tour } from '../tour.js';

const two = (name: string, first: string, second: string) => {
  const pod = script(name, first, { name: 'a' });
  pod.metadata.labels = { app: name, ...{ set: 'logged' } };
  const [container] = pod.spec.containers;
  pod.spec.containers.push({ ...container!, name: 'b', command: ['sh', '-c', second] });
  return pod;
};
const lines = (text: string): string[] => text.split('\n').filter(Boolean).sort();
const containerOf = async (tour: Tour, pod: string) => (await tour.json(`get pod ${pod}`)).status.containerStatuses[0];

export const logs: Chapter = {
  name: 'logs',
  steps: [
    {
      title: 'of containers, of all, of several pods',
      run: async tour => {
        const again = script('again', 'echo try; [ -e "$0.once" ]; exit 3');
        const restarted = { ...again, spec: { ...again.spec, restartPolicy: 'OnFailure' } };
        const lasting = (name: string) =>
          two(name, `echo ${name} a1; echo ${name} a2; sleep 600`, `echo ${name} b1; sleep 600`);
        await tour.ok(['create', '-f', await tour.file('pods.yaml', [lasting('one'), lasting('two'), restarted])]);
        await tour.ok('wait pod/one pod/two --for=condition=Ready --timeout=60s');
        await eventually('all is written', async () =>
          expect(lines(await tour.ok('logs -l set=logged --all-containers'))).toEqual([
            'one a1',
            'one a2',
            'one b1',
            'two a1',
            'two a2',
            'two b1',
          ]),
        );
        expect(await tour.ok('logs one -c b')).toBe('one b1\n');
        expect(await tour.ok('logs one b')).toBe('one b1\n');
        const first = await tour.kubectl('logs one');
        expect([first.out, first.err]).toEqual([
          'one a1\none a2\n',
          expect.stringContaining('Defaulted container "a"'),
        ]);
        expect(lines(await tour.ok('logs one --all-containers --prefix'))).toEqual([
          '[pod/one/a] one a1',
          '[pod/one/a] one a2',
          '[pod/one/b] one b1',
        ]);
        expect(lines(await tour.ok('logs -l set=logged --all-containers --tail=1 --prefix'))).toEqual([
          '[pod/one/a] one a2',
          '[pod/one/b] one b1',
          '[pod/two/a] two a2',
          '[pod/two/b] two b1',
        ]);
        await tour.refused('logs one -c nope', 'container nope is not valid for pod one');
        await tour.refused('logs nobody --pod-running-timeout=1s', 'pods "nobody" not found');
      },
    },
    {
      title: '--since, --since-time, --tail, --timestamps, --limit-bytes',
      run: async tour => {
        const stamped = (await tour.ok('logs one -c a --timestamps')).trim().split('\n');
        for (const line of stamped) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one a\d$/);
        const began = stamped[0]!.split(' ')[0]!;
        expect(await tour.ok(`logs one -c a --since-time=${began}`)).toBe('one a1\none a2\n');
        expect(await tour.ok('logs one -c a --since-time=2999-01-01T00:00:00Z')).toBe('');
        expect(await tour.ok('logs one -c a --since=10m')).toBe('one a1\none a2\n');
        expect(await tour.ok('logs one -c a --tail=0')).toBe('');
        expect(await tour.ok('logs one -c a --tail=-1')).toBe('one a1\none a2\n');
        expect(await tour.ok('logs one -c a --tail=1 --limit-bytes=3')).toBe('one');
        await tour.refused('logs one -c a --since=1s --since-time=2999-01-01T00:00:00Z', /at most one of|only one of/);
        await tour.refused('logs one -c a --limit-bytes=-1', /limitBytes|limit-bytes|must be greater than 0/);
      },
    },
    {
      title: '--previous',
      run: async tour => {
        await eventually('it has run twice', async () => {
          expect((await containerOf(tour, 'again')).restartCount).toBeGreaterThan(0);
        });
        expect(await tour.ok('logs again --previous')).toBe('try\n');
        await tour.refused('logs one -c a --previous', 'previous terminated container "a" in pod "one" not found');
      },
    },
    {
      title: '--follow until the end of the pod, and of several with their bound',
      run: async tour => {
        const ending = two('ending', 'for i in 1 2 3; do echo a$i; sleep 0.3; done', 'echo b1; sleep 0.5; echo b2');
        await tour.ok(['create', '-f', await tour.file('ending.yaml', ending)]);
        // A container that has not begun has no log to follow, and says so.
        const all = await eventually('both have begun', () =>
          tour.ok('logs ending -f --all-containers --prefix --pod-running-timeout=30s'),
        );
        expect(lines(all)).toEqual([
          '[pod/ending/a] a1',
          '[pod/ending/a] a2',
          '[pod/ending/a] a3',
          '[pod/ending/b] b1',
          '[pod/ending/b] b2',
        ]);
        // Of a pod that has ended there is nothing to wait for.
        expect(await tour.ok('logs ending -c b -f')).toBe('b1\nb2\n');
        await tour.refused(
          'logs -f -l set=logged --all-containers --max-log-requests=2',
          'but maximum allowed concurrency is 2',
        );
        const follow = tour.start('logs -f -l set=logged --all-containers --max-log-requests=6 --prefix');
        try {
          await eventually('all of them are followed', () => {
            expect(new Set(lines(follow.seen()).map(line => line.split(' ')[0]))).toEqual(
              new Set(['one', 'two', 'ending'].flatMap(pod => ['a', 'b'].map(name => `[pod/${pod}/${name}]`))),
            );
          });
        } finally {
          await follow.stop();
        }
        await tour.ok('delete pod --all --now --wait=false');
      },
    },
  ],
};
