/** Clauses about sandboxes, containers and images. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { isRuntimeError, type RuntimeErrorReason } from '../contract.js';
import type { Laboratory } from './laboratory.js';
import type { Workloads } from './subject.js';

export type Clause = (name: string, body: (laboratory: Laboratory) => Promise<void>, timeoutMs?: number) => void;

export async function rejects(promise: Promise<unknown>, reason: RuntimeErrorReason): Promise<Error> {
  const error = await promise.then(
    () => assert.fail(`expected a RuntimeError ${reason}`),
    (error: unknown) => error,
  );
  assert.ok(isRuntimeError(error, reason), `expected a RuntimeError ${reason}, got ${error}`);
  assert.ok(error.message.length > 10, `the message says what was wrong: "${error.message}"`);
  return error;
}

export function sandboxClauses(clause: Clause, workloads: Workloads): void {
  clause('a sandbox is ready, listed as it was described, and has an address of the range', async lab => {
    const config = await lab.sandboxConfig();
    const before = Date.now();
    const sandbox = await lab.sandbox(config);
    const listed = (await lab.runtime.listSandboxes()).find(({ id }) => id === sandbox.id);
    assert.deepEqual(listed, sandbox);
    assert.equal(sandbox.state, 'ready');
    assert.equal(sandbox.uid, config.uid);
    assert.equal(sandbox.name, config.name);
    assert.equal(sandbox.namespace, 'conformance');
    assert.equal(sandbox.attempt, 0);
    assert.deepEqual(sandbox.labels, config.labels);
    assert.ok(Math.abs(sandbox.createdAt - before) < 60_000, `createdAt ${sandbox.createdAt}`);
    assert.match(sandbox.ip ?? '', /^\d+\.\d+\.\d+\.\d+$/);
  });

  clause('two sandboxes have two addresses; one on the host network has none', async lab => {
    const [one, two] = [await lab.sandbox(), await lab.sandbox()];
    assert.notEqual(one.ip, two.ip);
    assert.notEqual(one.id, two.id);
    const host = await lab.sandbox({ hostNetwork: true });
    assert.equal(host.ip, undefined);
  });

  clause('the same attempt of a pod is refused twice, another attempt is not', async lab => {
    const config = await lab.sandboxConfig();
    const first = await lab.sandbox(config);
    await rejects(lab.runtime.runSandbox(config), 'InvalidConfig');
    await lab.runtime.stopSandbox(first.id);
    const next = await lab.sandbox({ ...config, attempt: 1 });
    assert.equal(next.attempt, 1);
  });

  clause('stopping a sandbox ends its containers without grace and gives back the address', async lab => {
    const { sandbox, id } = await lab.pod(workloads.stubborn);
    await lab.runtime.stopSandbox(sandbox.id);
    assert.equal((await lab.runtime.containerStatus(id)).state, 'exited');
    const listed = (await lab.runtime.listSandboxes()).find(other => other.id === sandbox.id);
    assert.equal(listed?.state, 'not-ready');
    assert.equal(listed?.ip, undefined);
    await rejects(lab.created(sandbox, workloads.sleeps, { name: 'late' }), 'InvalidConfig');
    await lab.runtime.stopSandbox(sandbox.id);
  });

  clause('removing a sandbox removes its containers, running or not; removing again is harmless', async lab => {
    const { sandbox, id } = await lab.pod(workloads.sleeps);
    await lab.runtime.removeSandbox(sandbox.id);
    await rejects(lab.runtime.containerStatus(id), 'NotFound');
    assert.ok(!(await lab.runtime.listSandboxes()).some(other => other.id === sandbox.id));
    await lab.runtime.removeSandbox(sandbox.id);
    await lab.runtime.stopSandbox(sandbox.id);
  });
}

export function containerClauses(clause: Clause, workloads: Workloads): void {
  clause('a container is created, runs, and is stopped', async lab => {
    const sandbox = await lab.sandbox();
    const id = await lab.created(sandbox, workloads.sleeps, { labels: { role: 'web' } });
    const created = await lab.runtime.containerStatus(id);
    assert.equal(created.state, 'created');
    assert.equal(created.sandboxId, sandbox.id);
    assert.equal(created.name, 'main');
    assert.equal(created.attempt, 0);
    assert.equal(created.image, workloads.sleeps.image);
    assert.ok(created.imageId);
    assert.deepEqual(created.labels, { role: 'web' });
    assert.equal(created.startedAt, undefined);
    await lab.runtime.startContainer(id);
    const running = await lab.runtime.containerStatus(id);
    assert.equal(running.state, 'running');
    assert.ok(running.startedAt! >= running.createdAt);
    assert.equal(running.exitCode, undefined);
    await lab.runtime.startContainer(id);
    await lab.runtime.stopContainer(id, 10_000);
    const ended = await lab.runtime.containerStatus(id);
    assert.equal(ended.state, 'exited');
    assert.ok(ended.finishedAt! >= ended.startedAt!);
    assert.equal(typeof ended.exitCode, 'number');
    await lab.runtime.stopContainer(id, 10_000);
    await rejects(lab.runtime.startContainer(id), 'StartFailed');
  });

  clause('containers are listed, all or of one sandbox', async lab => {
    const [one, two] = [await lab.sandbox(), await lab.sandbox()];
    const ids = [
      await lab.created(one, workloads.sleeps, { name: 'a' }),
      await lab.created(one, workloads.sleeps, { name: 'b' }),
      await lab.created(two, workloads.sleeps, { name: 'a' }),
    ];
    const all = (await lab.runtime.listContainers()).map(({ id }) => id);
    for (const id of ids) assert.ok(all.includes(id));
    assert.deepEqual((await lab.runtime.listContainers(one.id)).map(({ name }) => name).sort(), ['a', 'b']);
    assert.deepEqual(await lab.runtime.listContainers('no-such-sandbox'), []);
  });

  clause('one attempt of a container exists once; the next attempt is another container', async lab => {
    const { sandbox } = await lab.pod(workloads.exits(0));
    await rejects(lab.created(sandbox, workloads.sleeps), 'InvalidConfig');
    await lab.created(sandbox, workloads.sleeps, { attempt: 1 });
    assert.equal((await lab.runtime.listContainers(sandbox.id)).length, 2);
  });

  for (const code of [0, 1, 42]) {
    clause(`exit code ${code} is kept, with its reason and times`, async lab => {
      const { id } = await lab.pod(workloads.exits(code));
      const status = await lab.exited(id);
      assert.equal(status.exitCode, code);
      assert.equal(status.reason, code === 0 ? 'Completed' : 'Error');
      assert.ok(status.finishedAt! >= status.startedAt!);
    });
  }

  if (workloads.killsItself) {
    const killed = workloads.killsItself;
    clause('an end by a signal is 128 + its number', async lab => {
      const { id } = await lab.pod(killed);
      assert.equal((await lab.exited(id)).exitCode, 137);
    });
  }

  clause('SIGKILL follows when the grace is over', async lab => {
    const { id } = await lab.pod(workloads.stubborn);
    await lab.log(id, log => log.includes('ready'));
    const before = Date.now();
    await lab.runtime.stopContainer(id, 400);
    const took = Date.now() - before;
    assert.ok(took >= 350 && took < 8_000, `took ${took} ms`);
    assert.equal((await lab.runtime.containerStatus(id)).exitCode, 137);
  });

  clause('a container that cannot start says why, and is not left running', async lab => {
    const sandbox = await lab.sandbox();
    const id = await lab.created(sandbox, workloads.unstartable);
    await rejects(lab.runtime.startContainer(id), 'StartFailed');
    const status = await lab.runtime.containerStatus(id);
    assert.ok(status.state === 'exited' || status.state === 'created', status.state);
  });

  clause('removing a running container ends it; removing again is harmless; its log stays', async lab => {
    const { sandbox, id } = await lab.pod(workloads.prints('kept\n', ''));
    const log = await lab.log(id, text => text.includes('kept'));
    const { logPath } = await lab.runtime.containerStatus(id);
    await lab.runtime.removeContainer(id);
    await rejects(lab.runtime.containerStatus(id), 'NotFound');
    assert.deepEqual(await lab.runtime.listContainers(sandbox.id), []);
    await lab.runtime.removeContainer(id);
    assert.ok((await readFile(logPath, 'utf8')).startsWith(log.slice(0, 10)));
  });

  clause('what does not exist is NotFound, except for stop and remove', async lab => {
    await rejects(lab.runtime.containerStatus('no-such-container'), 'NotFound');
    await rejects(lab.runtime.startContainer('no-such-container'), 'NotFound');
    await rejects(lab.runtime.createContainer('no-such-sandbox', lab.config(workloads.sleeps)), 'NotFound');
    await lab.runtime.stopContainer('no-such-container', 10);
    await lab.runtime.removeContainer('no-such-container');
  });

  clause('several containers share a pod and end apart', async lab => {
    const sandbox = await lab.sandbox();
    const stays = await lab.started(sandbox, workloads.sleeps, { name: 'stays' });
    const ends = await lab.started(sandbox, workloads.exits(3), { name: 'ends' });
    assert.equal((await lab.exited(ends)).exitCode, 3);
    assert.equal((await lab.runtime.containerStatus(stays)).state, 'running');
  });
}

export function imageClauses(clause: Clause, workloads: Workloads): void {
  clause('a pulled image has a status and is listed', async lab => {
    const { image } = workloads.sleeps;
    const pulled = await lab.runtime.pullImage(image);
    assert.ok(pulled.id);
    assert.equal((await lab.runtime.imageStatus(image))?.id, pulled.id);
    const listed = (await lab.runtime.listImages()).find(({ id }) => id === pulled.id);
    assert.ok(listed, `${image} is listed`);
    assert.ok(listed.references.length > 0);
  });

  clause('an unknown image is not present, cannot be pulled, and the message helps', async lab => {
    assert.equal(await lab.runtime.imageStatus(workloads.unknownImage), undefined);
    const error = await rejects(lab.runtime.pullImage(workloads.unknownImage), 'ImagePullFailed');
    assert.ok(error.message.includes(workloads.unknownImage), error.message);
    const sandbox = await lab.sandbox();
    await rejects(
      lab.runtime.createContainer(sandbox.id, lab.config({ image: workloads.unknownImage })),
      'ImageNotPresent',
    );
  });
}
