import { describe, expect, it } from 'vitest';
import { StatusError } from '../errors/status-error.js';
import { attachToPod, execInPod, podLogs } from './pod-streams.js';
import type { Transport, TransportSocket } from './transport.js';

/** A pod whose end of the stream the test plays; `sent` is what the client sent. */
function podStream(protocol = 'v5.channel.k8s.io') {
  const sent: [channel: number, text: string][] = [];
  const queue: (Uint8Array | Error | undefined)[] = [];
  let wake: (() => void) | undefined;
  let path = '';
  let offered: readonly string[] = [];
  let closed = false;
  const put = (message: Uint8Array | Error | undefined) => {
    queue.push(message);
    wake?.();
  };
  const socket: TransportSocket = {
    protocol,
    messages: {
      async *[Symbol.asyncIterator]() {
        for (;;) {
          while (queue.length === 0) {
            await new Promise<void>(resolve => {
              wake = resolve;
            });
          }
          const next = queue.shift();
          if (next === undefined) return;
          if (next instanceof Error) throw next;
          yield next;
        }
      },
    },
    send: message => sent.push([message[0]!, Buffer.from(message.subarray(1)).toString()]),
    close() {
      closed = true;
      put(undefined);
    },
  };
  const transport: Transport = {
    request: () => Promise.reject(new Error('no requests here')),
    async connect(asked, options) {
      path = asked;
      offered = options.protocols;
      options.signal?.addEventListener('abort', () => put(options.signal?.reason), { once: true });
      return socket;
    },
    close: async () => undefined,
  };
  return {
    client: { transport },
    sent,
    say: (channel: number, text: string) => put(Buffer.concat([Buffer.of(channel), Buffer.from(text)])),
    put,
    get path() {
      return path;
    },
    get offered() {
      return offered;
    },
    get closed() {
      return closed;
    },
  };
}

const target = { namespace: 'default', pod: 'web', container: 'c' };
const success = JSON.stringify({ metadata: {}, status: 'Success' });
const exit = (code: number) =>
  JSON.stringify({
    status: 'Failure',
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  });
const settle = () => new Promise(resolve => setTimeout(resolve, 10));

describe('execInPod', () => {
  it('asks for the streams that it reads, and tells stdout from stderr', async () => {
    const stream = podStream();
    const [out, err]: [string[], string[]] = [[], []];
    const code = execInPod(stream.client, {
      ...target,
      command: ['sh', '-c', 'echo "a&b"'],
      onStdout: bytes => out.push(Buffer.from(bytes).toString()),
      onStderr: bytes => err.push(Buffer.from(bytes).toString()),
    });
    stream.say(1, 'out');
    stream.say(2, 'err');
    stream.say(1, '');
    stream.say(3, success);
    expect(await code).toBe(0);
    expect([out, err]).toEqual([['out'], ['err']]);
    expect(stream.path).toBe(
      '/api/v1/namespaces/default/pods/web/exec?container=c&stdout=true&stderr=true&command=sh&command=-c&command=echo%20%22a%26b%22',
    );
    expect(stream.offered).toEqual(['v5.channel.k8s.io', 'v4.channel.k8s.io']);
    expect(stream.closed).toBe(true);
  });

  it('sends input, its end, and sizes of the terminal', async () => {
    const stream = podStream();
    async function* input() {
      yield 'one';
      yield Buffer.from('two');
    }
    async function* sizes() {
      yield { width: 80, height: 24 };
    }
    const code = execInPod(stream.client, { ...target, command: ['cat'], tty: true, stdin: input(), resize: sizes() });
    await settle();
    stream.say(3, exit(7));
    expect(await code).toBe(7);
    expect(stream.path).toContain('stdin=true&stdout=true&tty=true');
    expect(stream.path).not.toContain('stderr');
    expect(stream.sent.filter(([channel]) => channel !== 4)).toEqual([
      [0, 'one'],
      [0, 'two'],
      [255, '\0'],
    ]);
    expect(stream.sent.filter(([channel]) => channel === 4)).toEqual([[4, '{"Width":80,"Height":24}\n']]);
  });

  it('cannot tell the end of input over v4', async () => {
    const stream = podStream('v4.channel.k8s.io');
    async function* input() {
      yield 'x';
    }
    const code = execInPod(stream.client, { ...target, command: ['cat'], stdin: input() });
    await settle();
    stream.say(3, success);
    await code;
    expect(stream.sent).toEqual([[0, 'x']]);
  });

  it('does not wait for input that never comes, and lets go of it', async () => {
    const stream = podStream();
    let returned = false;
    const input: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<never>(() => undefined),
        return: async () => {
          returned = true;
          return { done: true, value: undefined };
        },
      }),
    };
    const code = execInPod(stream.client, { ...target, command: ['true'], stdin: input });
    stream.say(3, success);
    expect(await code).toBe(0);
    await settle();
    expect(returned).toBe(true);
  });

  it('throws when the command could not run, when the stream breaks, and when input fails', async () => {
    const failing = podStream();
    const failed = execInPod(failing.client, { ...target, command: ['nope'] });
    failing.say(3, JSON.stringify(new StatusError('InternalError', 'exec failed: no such file').toStatus()));
    await expect(failed).rejects.toMatchObject({ reason: 'InternalError', message: 'exec failed: no such file' });

    const breaking = podStream();
    const broken = execInPod(breaking.client, { ...target, command: ['x'] });
    breaking.put(undefined);
    await expect(broken).rejects.toThrow('the stream ended without a status');

    const unread = podStream();
    async function* input(): AsyncGenerator<string> {
      yield 'a';
      throw new Error('the terminal is gone');
    }
    await expect(execInPod(unread.client, { ...target, command: ['x'], stdin: input() })).rejects.toThrow(
      'the terminal is gone',
    );
  });

  it('stops at its signal', async () => {
    const stream = podStream();
    const controller = new AbortController();
    const code = attachToPod(stream.client, { ...target, signal: controller.signal });
    await settle();
    expect(stream.path).toBe('/api/v1/namespaces/default/pods/web/attach?container=c&stdout=true&stderr=true');
    controller.abort(new Error('bye'));
    await expect(code).rejects.toThrow('bye');
  });
});

describe('podLogs', () => {
  it('asks as told and hands out the bytes', async () => {
    const paths: string[] = [];
    const answer = (status: number, text: string): Transport => ({
      async request(request) {
        paths.push(request.path);
        async function* body() {
          yield Buffer.from(text);
        }
        return { status, headers: {}, warnings: [], body: body(), bytes: async () => Buffer.from(text) };
      },
      connect: () => Promise.reject(new Error('no')),
      close: async () => undefined,
    });
    const read = async (transport: Transport) => {
      let all = '';
      for await (const chunk of podLogs({ transport }, { ...target, follow: true, tailLines: 0, timestamps: false }))
        all += Buffer.from(chunk).toString();
      return all;
    };
    expect(await read(answer(200, 'line\n'))).toBe('line\n');
    expect(paths).toEqual(['/api/v1/namespaces/default/pods/web/log?container=c&follow=true&tailLines=0']);
    await expect(
      read(answer(400, JSON.stringify(new StatusError('BadRequest', 'container "c" is waiting').toStatus()))),
    ).rejects.toThrow('is waiting');
  });
});
