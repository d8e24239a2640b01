import { type corev1, manualClock } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { backOffs } from '../pod-worker/back-off.js';
import { simulatedRuntime } from '../runtime/simulated/index.js';
import { imagePuller } from './image-puller.js';

function setup(options: { parallel?: number; pullable?: (image: string) => true | string } = {}) {
  const clock = manualClock();
  const runtime = simulatedRuntime({
    clock,
    pullMs: 1_000,
    ...(options.pullable ? { pullable: options.pullable } : {}),
  });
  const underWay = { now: 0, most: 0, started: [] as string[], stopped: [] as string[] };
  const pull = runtime.pullImage.bind(runtime);
  runtime.pullImage = async (image, pullOptions) => {
    underWay.started.push(image);
    underWay.now += 1;
    underWay.most = Math.max(underWay.most, underWay.now);
    pullOptions?.signal?.addEventListener('abort', () => underWay.stopped.push(image));
    return pull(image, pullOptions).finally(() => {
      underWay.now -= 1;
    });
  };
  const waits = backOffs({ initialMs: 10_000, maxMs: 300_000, now: () => clock.now() });
  const puller = imagePuller({ runtime, clock, backOffs: waits, parallel: options.parallel ?? 2 });
  const said: string[] = [];
  const ensure = (
    image: string,
    more: Partial<corev1.Container> = {},
    signal = new AbortController().signal,
    uid = 'u',
  ) => puller.ensure(uid, { name: 'app', image, ...more }, (_type, reason) => said.push(reason), signal);
  return { clock, puller, ensure, underWay, said };
}

describe('imagePuller', () => {
  it('pulls at most so many at once, and all in the end', async () => {
    const { clock, ensure, underWay } = setup({ parallel: 2 });
    const all = Promise.all(['a', 'b', 'c', 'd', 'e'].map(image => ensure(image)));
    await clock.advance(3_000);
    expect((await all).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'e'].map(image => `simulated:${image}`));
    expect(underWay.most).toBe(2);
  });

  it('stops a pull when nobody wants it any more, not before', async () => {
    const { clock, ensure, underWay } = setup();
    const [first, second] = [new AbortController(), new AbortController()];
    const one = ensure('a', {}, first.signal, 'u1');
    const two = ensure('a', {}, second.signal, 'u2');
    await clock.advance(100);
    first.abort(new Error('gone'));
    await expect(one).rejects.toThrow('gone');
    expect(underWay.stopped).toEqual([]);
    second.abort(new Error('gone too'));
    await expect(two).rejects.toThrow('gone too');
    expect(underWay.stopped).toEqual(['a']);
  });

  it('a pull that waits for its turn and is given up frees it for the next', async () => {
    const { clock, ensure, underWay } = setup({ parallel: 1 });
    const running = ensure('a');
    const abort = new AbortController();
    const waiting = ensure('b', {}, abort.signal);
    const next = ensure('c');
    await clock.advance(100);
    abort.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    await clock.advance(3_000);
    await running;
    await next;
    expect(underWay.started).toEqual(['a', 'c']);
  });

  it('backs off per pod and image', async () => {
    const { clock, ensure, puller, said } = setup({ pullable: image => (image === 'bad' ? 'manifest unknown' : true) });
    const failing = ensure('bad').catch(error => error);
    await clock.advance(1_000);
    expect(await failing).toMatchObject({ reason: 'ErrImagePull', message: 'manifest unknown' });
    expect(puller.waitOf('u', 'bad')).toBe(10_000);
    await expect(ensure('bad')).rejects.toMatchObject({ reason: 'ImagePullBackOff' });
    expect(puller.waitOf('other', 'bad')).toBe(0);
    puller.forget('u');
    expect(puller.waitOf('u', 'bad')).toBe(0);
    expect(said).toEqual(['Pulling', 'Failed']);
  });

  it.each(['nginx', 'nginx:1.27', 'docker.io/library/nginx:1', 'localhost:5000/a/b_c:x', 'a@sha256:' + 'a'.repeat(64)])(
    'takes the reference %s',
    async image => {
      const { clock, ensure } = setup();
      const done = ensure(image);
      await clock.advance(1_000);
      expect((await done).references).toEqual([image]);
    },
  );

  it.each(['', ' ', 'Nginx', 'a b', 'a:', 'a:b:c', '/a', 'a//b', 'a@sha256:short'])(
    'refuses the reference %j',
    async image => {
      await expect(setup().ensure(image)).rejects.toMatchObject({ reason: 'InvalidImageName' });
    },
  );
});
