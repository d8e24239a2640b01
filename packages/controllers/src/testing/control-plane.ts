/**
 * A whole control plane in one process, for tests: a real API server over a memory store and the controllers under test.
 * No socket, no file, no time of its own; several can run side by side. What a test needs besides (a scheduler, a node)
 * it adds as components, or plays itself through `client`.
 */
import { type ApiServerOptions, apiServer, memoryStore } from '@orbitkit/apiserver';
import {
  type Client,
  type Clock,
  type Component,
  type ComponentStatus,
  compose,
  type Kind,
  type Logger,
  type UserInfo,
} from '@orbitkit/core';
import type { Controller } from '../controller.js';
import { controllerManager } from '../controller-manager.js';
import { type EventuallyOptions, eventually } from './eventually.js';

export interface TestControlPlaneOptions {
  controllers?: readonly Controller[];
  /** Started after the API server and the controllers. */
  components?: readonly Component[];
  /** What the API server serves. Default: the built-in kinds. */
  kinds?: readonly Kind<any>[];
  /** Further options of the API server, e.g. admission plugins. */
  server?: Partial<Omit<ApiServerOptions, 'kinds' | 'listen'>>;
  /** The clock of controllers and components. The API server always runs on the system's. */
  clock?: Clock;
  log?: Logger;
  /** The identity of `client`. Default: an administrator. */
  user?: UserInfo;
}

export interface TestControlPlane extends AsyncDisposable {
  readonly client: Client;
  clientFor(user: UserInfo): Client;
  /** Waits until `check` holds, and returns its value. */
  eventually<T>(check: () => T | Promise<T>, options?: EventuallyOptions): Promise<Exclude<T, false | undefined>>;
  /** State of the components, to see what crashed. */
  readonly components: readonly ComponentStatus[];
}

const administrator: UserInfo = { username: 'test-admin', groups: ['system:masters', 'system:authenticated'] };

/** Resolves when everything is ready. Dispose it: `await using plane = await createTestControlPlane(…)`. */
export async function createTestControlPlane(options: TestControlPlaneOptions = {}): Promise<TestControlPlane> {
  const { controllers = [], components = [], kinds, clock, log, user = administrator } = options;
  const server = apiServer({ store: memoryStore(), ...options.server, listen: false, ...(kinds ? { kinds } : {}) });
  const logging = log ? { log } : {};
  const serving = compose({ ...logging }, server);
  const run = serving.run();
  run.catch(() => {});
  await serving.ready;

  const manager = controllers.length > 0 ? [controllerManager(controllers, { freeze: true })] : [];
  const working = compose(
    { ...logging, ...(clock ? { clock } : {}), client: identity => server.clientFor(identity) },
    ...manager,
    ...components,
  );
  const dispose = async () => {
    await working[Symbol.asyncDispose]();
    await serving[Symbol.asyncDispose]();
  };
  working.run().catch(() => {});
  try {
    await working.ready;
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    client: server.clientFor(user),
    clientFor: identity => server.clientFor(identity),
    eventually: (check, eventuallyOptions) => eventually(check, eventuallyOptions),
    get components() {
      return [...serving.components, ...working.components];
    },
    [Symbol.asyncDispose]: dispose,
  };
}
