/** exec, attach, run and debug on a real terminal: its size, its keys, its end; containers for a look inside. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, rowsOf, script, type Terminal, type TerminalSize, type Tour, type Words } from '../tour.js';

const before = { rows: 33, columns: 91 };
const after = { rows: 41, columns: 120 };

/** Runs kubectl on a terminal; the program must not outlive the step. */
async function onTerminal(tour: Tour, words: Words, use: (terminal: Terminal) => Promise<void>): Promise<void> {
  const terminal = tour.terminal(words, before);
  try {
    await use(terminal);
  } finally {
    await terminal.stop();
  }
}

const shows = (terminal: Terminal, pattern: RegExp): Promise<void> =>
  eventually(`the terminal shows ${pattern}`, () => {
    if (!pattern.test(terminal.seen())) throw new Error(terminal.seen());
  });

/** A shell at the other end says this size when it is asked; asked again until it does, since attach tells one that is larger by one first. */
async function says(terminal: Terminal, { rows, columns }: TerminalSize): Promise<void> {
  await eventually(`the size ${rows} ${columns} arrives`, async () => {
    const from = terminal.seen().length;
    const answer = () => terminal.seen().slice(from);
    terminal.type('stty size; echo "ask"ed\n');
    await eventually('an answer', () => answer().includes('asked\n'));
    if (!new RegExp(`^${rows} ${columns}$`, 'm').test(answer())) throw new Error(answer());
  });
}

async function sizesPass(terminal: Terminal): Promise<void> {
  await says(terminal, before);
  await terminal.resize(after);
  await says(terminal, after);
}

export const terminal: Chapter = {
  name: 'terminal',
  steps: [
    {
      title: 'exec -it: size, resize, exit code',
      run: async tour => {
        const shell = script('shell', '', { command: ['sh'], stdin: true, tty: true });
        const pods = [script('worker', 'sleep 600'), { ...shell, spec: { ...shell.spec, restartPolicy: 'Always' } }];
        await tour.ok(['create', '-f', await tour.file('pods.yaml', pods)]);
        await tour.ok('wait pod/worker pod/shell --for=condition=Ready --timeout=60s');
        await onTerminal(tour, ['exec', '-it', 'worker', '--', 'sh'], async terminal => {
          await shows(terminal, /[$#] $/);
          await sizesPass(terminal);
          terminal.type('exit 7\n');
          expect(await terminal.ended).toBe(7);
        });
      },
    },
    {
      title: 'exec -it: an interrupt reaches the program',
      run: tour =>
        onTerminal(tour, ['exec', '-it', 'worker', '--', 'sleep', '600'], async terminal => {
          await shows(terminal, /^on /m);
          // It may not have begun yet: the key is pressed until it is taken.
          const over = terminal.ended;
          let ended: number | null | undefined;
          void over.then(code => {
            ended = code;
          });
          await eventually('the program ends', () => {
            terminal.type('\x03');
            return ended !== undefined;
          });
          expect(await over).toBe(130);
        }),
    },
    {
      title: 'attach -it',
      run: tour =>
        onTerminal(tour, 'attach -it shell', async terminal => {
          await shows(terminal, /press(ing)? enter/);
          await sizesPass(terminal);
        }),
    },
    {
      title: 'run -it --rm',
      run: async tour => {
        const words = ['run', 'short', '-it', '--rm', '--restart=Never', '--image=busybox', '--', 'sh'];
        await onTerminal(tour, words, async terminal => {
          await shows(terminal, /[$#] $|press(ing)? enter/);
          await sizesPass(terminal);
          terminal.type('exit 5\n');
          expect(await terminal.ended).toBe(5);
          expect(terminal.seen()).toMatch(/pod "short" deleted/);
        });
        await tour.refused('get pod short', 'NotFound');
        const piped = ['run', 'piped', '-i', '--rm', '--quiet', '--restart=Never', '--image=busybox', '--', 'cat'];
        expect(await tour.ok(piped, { input: 'through the pod\n' })).toContain('through the pod\n');
      },
    },
    {
      title: 'debug: an ephemeral container, with its log, its end and its terminal',
      run: async tour => {
        const look = ['debug', 'worker', '--image=busybox', '--target=main'];
        await tour.ok([...look, '-c', 'look', '--', 'sh', '-c', 'echo looked; exit 3']);
        await eventually('it has looked', async () => (await tour.ok('logs worker -c look')) === 'looked\n');
        const { status, spec } = await tour.json('get pod worker');
        expect(spec.ephemeralContainers).toMatchObject([{ name: 'look', targetContainerName: 'main' }]);
        expect(status.phase).toBe('Running');
        await eventually('its end is told', async () => {
          const [its] = (await tour.json('get pod worker')).status.ephemeralContainerStatuses;
          expect(its).toMatchObject({ name: 'look', state: { terminated: { exitCode: 3 } } });
        });
        expect(await tour.ok('describe pod worker')).toMatch(/^Ephemeral Containers:\n {2}look:/m);
        expect(rowsOf(await tour.ok('get pod worker'))[0]).toMatchObject({ READY: '1/1', STATUS: 'Running' });
        await onTerminal(tour, [...look, '-it', '-c', 'shell', '--', 'sh'], async terminal => {
          await shows(terminal, /[$#] $|press(ing)? enter/);
          terminal.type('echo "in it"; exit\n');
          await shows(terminal, /^in it$/m);
          expect(await terminal.ended).toBe(0);
        });
        await tour.refused([...look.slice(0, -1), '--target=nobody'], /targetContainerName: Not found: "nobody"/);
      },
    },
    {
      title: 'debug --copy-to, and of a node',
      run: async tour => {
        const copy = ['debug', 'worker', '--copy-to=copied', '--image=busybox', '-c', 'extra', '--same-node'];
        await tour.ok([...copy, '--', 'sh', '-c', 'echo extra; sleep 600']);
        await tour.ok('wait pod/copied --for=condition=Ready --timeout=60s');
        expect(await tour.ok('logs copied -c extra')).toBe('extra\n');
        const [worker, copied] = (await tour.json('get pod worker copied')).items;
        expect(copied.spec.containers.map(({ name }: any) => name)).toEqual(['main', 'extra']);
        expect(copied.spec.nodeName).toBe(worker.spec.nodeName);
        await tour.ok(['debug', 'worker', '--copy-to=other', '--set-image=*=orbitkit/echo:9']);
        expect((await tour.json('get pod other')).spec.containers[0].image).toBe('orbitkit/echo:9');
        await tour.ok(['debug', 'node/n2', '--image=busybox', '--', 'sh', '-c', 'echo on the node']);
        const [pod] = (await tour.json('get pods')).items.filter(({ metadata }: any) =>
          metadata.name.startsWith('node-debugger-n2-'),
        );
        expect(pod.spec).toMatchObject({ nodeName: 'n2', hostNetwork: true });
        await eventually('it ran there', async () =>
          expect(await tour.ok(`logs ${pod.metadata.name}`)).toBe('on the node\n'),
        );
        await tour.ok('delete pod --all --now --wait=false');
      },
    },
  ],
};
