/**
 * A whole control plane in one process, for tests: a real API server over a memory store, namespace deletion and garbage collection, and
 * the controllers under test. No socket unless asked for one, no file, no time of its own; several can run side by side. What a test
 * needs besides (a scheduler, a node) it adds as components, or plays itself through `client`.
 */
import { type ApiServerOptions, allowMasters, apiServer, type ListenOptions, memoryStore } from '@orbitkit/apiserver';
import {
  type Client,
  type Clock,
  type Component,
  type ComponentStatus,
  CustomResourceDefinition,
  compose,
  type Draft,
  isConditionTrue,
  type Kind,
  type Logger,
  type UserInfo,
} from '@orbitkit/core';
import { garbageCollector } from '../builtin/garbage-collector/garbage-collector.js';
import { namespaces } from '../builtin/namespace/namespaces.js';
import {
  persistentVolumeClaimProtection,
  persistentVolumeProtection,
} from '../builtin/persistent-volume/protection.js';
import type { Controller } from '../controller.js';
import { controllerManager } from '../controller-manager.js';
import { type ConsistentlyOptions, consistently, type EventuallyOptions, eventually } from './eventually.js';
import { type Interceptors, interceptClient } from './intercept-client.js';

/** What runs, and on which clock. */
export interface TestControlPlaneOptions {
  controllers?: readonly Controller[];
  /**
   * Runs namespace deletion, garbage collection and protection of volumes beside the controllers, as every cluster has them (without the last
   * when `kinds` are your own); a controller of the same name in
   * `controllers` takes the place of one. They are not waited for: what they have to do, they do as soon as they know of it. Default true.
   */
  housekeeping?: boolean;
  /** A port on the loopback (0: any free one), over plain HTTP, where everyone is the administrator. Default: none. */
  port?: number;
  /** Started after the API server and the controllers. */
  components?: readonly Component[];
  /** What the API server serves. Default: the built-in kinds. */
  kinds?: readonly Kind<any>[];
  /** Created, and served, before the controllers start: kinds of one's own as on any cluster. `crdOf(Kind)` makes one of a zod kind. */
  definitions?: readonly Draft<CustomResourceDefinition>[];
  /**
   * Roles and bindings decide what identities outside `system:masters` may do. Default false, and they may do nothing: to write upstream's
   * roles takes as long as everything else.
   */
  rbac?: boolean;
  /** Further options of the API server, e.g. admission plugins. */
  server?: Partial<Omit<ApiServerOptions, 'kinds' | 'listen' | 'insecureHttp'>>;
  /** The clock of controllers and components. The API server always runs on the system's. */
  clock?: Clock;
  log?: Logger;
  /** What the controllers' calls go through: errors, delays, lost answers. `client` of the test is not affected. */
  intercept?: Interceptors;
  /** The identity of `client`. Default: an administrator. */
  user?: UserInfo;
}

/** A running control plane; disposing ends it. */
export interface TestControlPlane extends AsyncDisposable {
  readonly client: Client;
  /** `http://127.0.0.1:PORT`, for other programs (kubectl, a browser). Undefined when no port was asked for. */
  readonly url: string | undefined;
  clientFor(user: UserInfo): Client;
  /** Waits until `check` holds, and returns its value. */
  eventually<T>(check: () => T | Promise<T>, options?: EventuallyOptions): Promise<Exclude<T, false | undefined>>;
  /** Watches for a while that `check` goes on to hold. */
  consistently(check: () => unknown, options?: ConsistentlyOptions): Promise<void>;
  /** State of the components, to see what crashed. */
  readonly components: readonly ComponentStatus[];
}

const administrator: UserInfo = { username: 'test-admin', groups: ['system:masters', 'system:authenticated'] };

/** What lets go of objects that the API server holds back when they are deleted. */
const housekeepers = (kinds: readonly Kind<any>[] | undefined): Controller[] => [
  namespaces(),
  garbageCollector(),
  ...(kinds === undefined ? [persistentVolumeClaimProtection(), persistentVolumeProtection()] : []),
];

/** Resolves when everything is ready. Dispose it: `await using plane = await createTestControlPlane(…)`. */
export async function createTestControlPlane(options: TestControlPlaneOptions = {}): Promise<TestControlPlane> {
  const { controllers = [], components = [], housekeeping = true, port, kinds, clock, log } = options;
  const user = options.user ?? administrator;
  const listen: ListenOptions | false = port === undefined ? false : { host: '127.0.0.1', port };
  const server = apiServer({
    store: memoryStore(),
    ...(options.rbac ? {} : { authorization: allowMasters() }),
    ...options.server,
    listen,
    insecureHttp: true,
    ...(kinds ? { kinds } : {}),
  });
  const logging = log ? { log } : {};
  const serving = compose({ ...logging }, server);
  const run = serving.run();
  run.catch(() => {});
  await serving.ready;
  try {
    await define(server.clientFor(administrator), options.definitions ?? []);
  } catch (error) {
    await serving[Symbol.asyncDispose]();
    throw error;
  }

  const wiring = {
    ...logging,
    ...(clock ? { clock } : {}),
    client: (identity: UserInfo) => server.clientFor(identity),
  };
  const { intercept } = options;
  const faults = intercept ? { throughClient: (client: Client) => interceptClient(client, intercept) } : {};
  const manager = controllers.length > 0 ? [controllerManager(controllers, { freeze: true, ...faults })] : [];
  const working = compose(wiring, ...manager, ...components);
  const taken = new Set(controllers.map(({ name }) => name));
  const keepers = housekeeping ? housekeepers(kinds).filter(({ name }) => !taken.has(name)) : [];
  const keeping = compose(wiring, controllerManager(keepers, { name: 'housekeeping' }));
  const dispose = async () => {
    await Promise.all([working[Symbol.asyncDispose](), keeping[Symbol.asyncDispose]()]);
    await serving[Symbol.asyncDispose]();
  };
  working.run().catch(() => {});
  try {
    await working.ready;
    keeping.run().catch(() => {});
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    client: server.clientFor(user),
    url: server.endpoint?.url,
    clientFor: identity => server.clientFor(identity),
    eventually: (check, eventuallyOptions) => eventually(check, eventuallyOptions),
    consistently: (check, consistentlyOptions) => consistently(check, consistentlyOptions),
    get components() {
      return [...serving.components, ...working.components, ...keeping.components];
    },
    [Symbol.asyncDispose]: dispose,
  };
}

async function define(client: Client, definitions: readonly Draft<CustomResourceDefinition>[]): Promise<void> {
  for (const definition of definitions) {
    const { metadata } = await client.create(CustomResourceDefinition, definition);
    await eventually(
      async () => {
        const { status, spec } = await client.get(CustomResourceDefinition, metadata);
        if (!isConditionTrue(status?.conditions, 'Established')) return false;
        for (const version of spec.versions.filter(({ served }) => served)) {
          const { group, names, scope } = spec;
          const kind = { group, version: version.name, kind: names.kind, plural: names.plural };
          await client.list({ ...kind, namespaced: scope === 'Namespaced' }, { limit: 1 });
        }
        return true;
      },
      { intervalMs: 1 },
    );
  }
}
