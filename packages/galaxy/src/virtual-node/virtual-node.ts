/**
 * The virtual node: starts instances on a runtime (process, simulated, or any other that keeps the runtime contract), says truthfully what came of
 * each, and tells whoever is connected how much room is left, also when an instance ends by itself.
 */
import { randomUUID } from 'node:crypto';
import type { Clock, Component, Logger } from '@orbitkit/core';
import type { Runtime } from '@orbitkit/node';
import { liveAsMember } from '../membership/member-life.js';
import { joinMembers } from '../membership/members.js';
import { type Credentials, listen } from '../protocol/channel.js';
import { answer, failed } from '../protocol/link.js';
import type { Capacity, Create, Created, InstanceStatus } from '../protocol/schema.js';
import { type Instance, type Ledger, ledger } from './ledger.js';

/** Addresses are host:port. */
export interface VirtualNodeOptions {
  name: string;
  listen: string;
  coordinators: readonly string[];
  credentials: Credentials;
  runtime: Runtime;
  /** Thousandths of a core. Default 4000, the original's. */
  cpuMillis?: number;
  /** Bytes. Default 4 GiB, the original's. */
  memoryBytes?: number;
  /** Where container logs go. */
  logDirectory: string;
  /** Range of addresses for instances, when the runtime gives addresses. */
  podCIDR?: string;
  /** How often ended instances are looked for beside the runtime's own events. Default 1 s. */
  relistMs?: number;
  onListening?(address: string): void;
}

const stateOf = ({
  sandboxId: _s,
  containerId: _c,
  started: _p,
  cpuMillis: _cpu,
  memoryBytes: _m,
  ...status
}: Instance): InstanceStatus => status;

/** A node as a component. Ready when it listens. @throws (when it runs) RuntimeError as its runtime does. */
export function virtualNode(options: VirtualNodeOptions): Component {
  return {
    name: options.name,
    async run({ signal, clock, log, ready }) {
      const subscribers = new Set<(capacity: Capacity) => void>();
      const books = ledger(
        { cpuMillis: options.cpuMillis ?? 4_000, memoryBytes: options.memoryBytes ?? 4 * 1024 ** 3 },
        clock,
        () => {
          for (const send of subscribers) send(books.capacity);
        },
      );
      const deploy = deployer(options, books, clock, log);
      const server = await listen(options.listen, options.credentials, [
        {
          name: 'Node',
          methods: {
            Deploy(call: any) {
              answer(call, deploy, send => {
                subscribers.add(send);
                send(books.capacity);
                return () => subscribers.delete(send);
              });
            },
            Find(call: any, reply: (error: unknown, value?: unknown) => void) {
              for (const attempt of call.request.fenceAttempts) books.fence(attempt);
              const instances = (call.request.keys as string[]).flatMap(key => books.byKey(key) ?? []);
              Promise.all(instances.map(instance => instance.started)).then(
                () =>
                  reply(null, {
                    found: instances.filter(each => each.state !== 'failed').map(each => runningOn(options.name, each)),
                  }),
                error => reply(error),
              );
            },
            List(call: any, reply: (error: unknown, value?: unknown) => void) {
              const wanted: string = call.request.function;
              reply(null, { items: [...books.all()].filter(each => !wanted || each.function === wanted).map(stateOf) });
            },
            Status(call: any, reply: (error: unknown, value?: unknown) => void) {
              const instance = books.byId(call.request.id);
              if (instance) reply(null, stateOf(instance));
              else reply({ code: 5, message: `no instance "${call.request.id}" on node ${options.name}` });
            },
            Delete(call: any, reply: (error: unknown, value?: unknown) => void) {
              const instance = books.byId(call.request.id);
              if (!instance)
                return reply({ code: 5, message: `no instance "${call.request.id}" on node ${options.name}` });
              remove(options.runtime, books, instance).then(
                () => reply(null, stateOf(instance)),
                error => reply({ code: 13, message: String(error) }),
              );
            },
          },
        },
      ]);
      options.onListening?.(server.address);
      const members = joinMembers({
        ...options,
        self: { kind: 'node', name: options.name, address: server.address, httpAddress: '' },
        clock,
        log,
        signal,
      });
      await liveAsMember(
        members,
        { signal, ready },
        {
          work: () => Promise.all([watchEnds(options, books, clock, signal), relist(options, books, clock, signal)]),
          async release() {
            await server.close();
            for (const instance of books.all()) await remove(options.runtime, books, instance).catch(() => {});
          },
        },
      );
    },
  };
}

/** The answer of a create whose instance runs. */
const runningOn = (node: string, { key, id, address }: Instance): Created => ({
  key,
  id,
  node,
  address,
  errorCode: '',
  error: '',
  hops: [],
});

function deployer(options: VirtualNodeOptions, books: Ledger, clock: Clock, log: Logger) {
  return async (create: Create): Promise<Created> => {
    const began = performance.now();
    const reply = (created: Created): Created => ({
      ...created,
      hops: [{ role: 'node', name: options.name, millis: performance.now() - began }],
    });
    if (books.isFenced(create.attempt)) return reply(failed(create, 'Fenced', 'the dispatcher gave this attempt up'));
    let instance = books.byKey(create.key);
    if (!instance) {
      instance = {
        id: `${options.name}~${randomUUID()}`,
        key: create.key,
        function: create.function,
        image: create.image,
        node: options.name,
        address: '',
        state: 'starting',
        exitCode: 0,
        message: '',
        createdAt: clock.now(),
        finishedAt: 0,
        cpuMillis: create.cpuMillis,
        memoryBytes: create.memoryBytes,
        started: Promise.resolve(),
      };
      const refusal = books.admit(create, instance);
      if (refusal) return reply(failed(create, 'NoCapacity', `node ${options.name}: ${refusal}`));
      instance.started = start(options, instance, create).catch(error => {
        log.warn('an instance could not be started', {
          function: create.function,
          error: String(error?.message ?? error),
        });
        books.end(instance!, 'failed', { message: String(error?.message ?? error) });
      });
    }
    await instance.started;
    if (instance.state === 'failed')
      return reply(failed(create, 'StartFailed', `node ${options.name}: ${instance.message}`));
    return reply(runningOn(options.name, instance));
  };
}

async function start(
  { runtime, podCIDR, logDirectory }: VirtualNodeOptions,
  instance: Instance,
  create: Create,
): Promise<void> {
  const name = instance.id.slice(instance.id.indexOf('~') + 1);
  const bound = AbortSignal.timeout(Math.max(1_000, Math.min(60_000, create.deadline - Date.now())));
  if (!(await runtime.imageStatus(create.image))) await runtime.pullImage(create.image, { signal: bound });
  const sandbox = await runtime.runSandbox(
    {
      name,
      namespace: 'galaxy',
      uid: name,
      attempt: 0,
      hostname: name,
      labels: { function: create.function },
      annotations: {},
      logDirectory: `${logDirectory}/${name}`,
      hostNetwork: false,
      portMappings: [],
      ...(podCIDR ? { podCIDR } : {}),
    },
    bound,
  );
  instance.sandboxId = sandbox.id;
  try {
    instance.containerId = await runtime.createContainer(
      sandbox.id,
      {
        name: 'main',
        attempt: 0,
        image: create.image,
        ...(create.command.length > 0 ? { command: create.command } : {}),
        ...(create.args.length > 0 ? { args: create.args } : {}),
        env: Object.entries({ FUNCTION: create.function, INSTANCE: instance.id, POD_NAME: name, ...create.env }).map(
          ([key, value]) => ({ name: key, value }),
        ),
        mounts: [],
        resources: {
          ...(create.cpuMillis > 0 ? { cpuLimitMillis: create.cpuMillis } : {}),
          ...(create.memoryBytes > 0 ? { memoryLimitBytes: create.memoryBytes } : {}),
        },
        ports: [],
        labels: { function: create.function },
        annotations: {},
        stdin: false,
        tty: false,
      },
      bound,
    );
    await runtime.startContainer(instance.containerId);
  } catch (error) {
    await runtime.stopSandbox(sandbox.id).catch(() => {});
    await runtime.removeSandbox(sandbox.id).catch(() => {});
    throw error;
  }
  instance.address = sandbox.ip ?? '';
  if (instance.state === 'starting') instance.state = 'running';
}

async function remove(runtime: Runtime, books: Ledger, instance: Instance): Promise<void> {
  await instance.started;
  if (instance.containerId && instance.state === 'running') await runtime.stopContainer(instance.containerId, 2_000);
  if (instance.sandboxId) {
    await runtime.stopSandbox(instance.sandboxId);
    await runtime.removeSandbox(instance.sandboxId);
    delete instance.sandboxId;
  }
  books.end(instance, 'deleted');
}

async function settle(runtime: Runtime, books: Ledger): Promise<void> {
  const containers = new Map((await runtime.listContainers()).map(container => [container.id, container]));
  for (const instance of books.all()) {
    if (instance.state !== 'running' || !instance.containerId) continue;
    const container = containers.get(instance.containerId);
    if (container && container.state !== 'exited') continue;
    books.end(instance, 'exited', {
      exitCode: container?.exitCode ?? 255,
      message: container ? (container.message ?? '') : 'the container is gone from the runtime',
    });
    if (instance.sandboxId) {
      await runtime.stopSandbox(instance.sandboxId).catch(() => {});
      await runtime.removeSandbox(instance.sandboxId).catch(() => {});
      delete instance.sandboxId;
    }
  }
}

async function watchEnds(
  { runtime }: VirtualNodeOptions,
  books: Ledger,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let due: { cancel(): void } | undefined;
  for await (const event of runtime.events(signal)) {
    // Starts make events too; one look per turn serves them all.
    if (!event.containerId && event.sandboxId) continue;
    due ??= clock.setTimer(20, () => {
      due = undefined;
      void settle(runtime, books).catch(() => {});
    });
  }
  due?.cancel();
}

async function relist(
  { runtime, relistMs }: VirtualNodeOptions,
  books: Ledger,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await clock.sleep(relistMs ?? 1_000, signal);
    await settle(runtime, books);
  }
}
