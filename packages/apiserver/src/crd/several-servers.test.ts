/** Several API servers over one store: each follows the definitions, whoever wrote them. */
import {
  builtinKinds,
  CustomResourceDefinition,
  type Kind,
  kindRegistry,
  silentLogger,
  systemClock,
} from '@orbitkit/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { RequestContext } from '../registry/contract.js';
import { createResources } from '../registry/resources.js';
import type { Store } from '../storage/contract.js';
import { memoryStore } from '../storage/memory.js';
import { widget, widgets } from './crd-fixture.js';
import { followDefinitions, serveDefinitions } from './custom-resources.js';

const stop = new AbortController();
const context: RequestContext = {
  user: { username: 'admin', groups: ['system:masters'] },
  signal: stop.signal,
  warn: () => undefined,
};

function server(store: Store) {
  const ending = new AbortController();
  const kinds = kindRegistry(builtinKinds);
  serveDefinitions(kinds);
  const resources = createResources({ store });
  const running = resources.run({ signal: ending.signal });
  const { cache } = resources;
  const following = followDefinitions(
    { cache, resources, kinds, clock: systemClock, log: silentLogger },
    ending.signal,
  );
  return {
    kinds,
    resources,
    widgets: () => kinds.byResource('example.com', 'v1', 'widgets') as Kind | undefined,
    definitions: kinds.get(CustomResourceDefinition) as Kind,
    async stop() {
      ending.abort(new Error('the test is over'));
      await Promise.all([running, following]);
    },
  };
}

async function until(holds: () => unknown): Promise<void> {
  for (let tries = 0; tries < 2_000 && !holds(); tries++) await new Promise(resolve => setTimeout(resolve, 2));
  expect(holds()).toBeTruthy();
}

let store: Store;
let servers: ReturnType<typeof server>[];
beforeEach(async () => {
  store = await memoryStore()();
  servers = [server(store), server(store), server(store)];
  await until(() => servers.every(each => each.resources.ready()));
});
afterEach(async () => {
  await Promise.all(servers.map(each => each.stop()));
  await store.close();
});

it('all serve what one of them was given, and stop when another deletes it', async () => {
  const [a, b, c] = servers as [(typeof servers)[0], (typeof servers)[0], (typeof servers)[0]];
  await a.resources.create(context, a.definitions, {}, { value: widgets() });
  await until(() => servers.every(each => each.widgets()));
  await b.resources.create(context, b.widgets()!, { namespace: 'default' }, { value: widget('w', { a: 1 }) });
  const seen = await c.resources.get(context, c.widgets()!, { name: 'w', namespace: 'default' });
  expect(seen.object()['spec']).toEqual({ a: 1 });
  await c.resources.delete(context, c.definitions, { name: 'widgets.example.com' });
  await until(() => servers.every(each => !each.widgets()));
  const left = await store.list('/registry/example.com/', {});
  expect(left.entries).toEqual([]);
});

it('one name goes to one of two definitions, whichever server each was given to', async () => {
  const definition = (plural: string): any => {
    const made = widgets();
    made.metadata.name = `${plural}.example.com`;
    made.spec.names = { plural, kind: plural === 'ones' ? 'One' : 'Two', shortNames: ['same'] };
    return made;
  };
  const [a, b] = servers as [(typeof servers)[0], (typeof servers)[0]];
  await a.resources.create(context, a.definitions, {}, { value: definition('ones') });
  await until(() => servers.every(each => each.kinds.byResource('example.com', 'v1', 'ones')));
  await b.resources.create(context, b.definitions, {}, { value: definition('twos') });
  const look = async () =>
    (await b.resources.get(context, b.definitions, { name: 'twos.example.com' })).object()['status']?.conditions ?? [];
  while ((await look()).length === 0) await new Promise(resolve => setTimeout(resolve, 2));
  expect(await look()).toMatchObject([
    { type: 'NamesAccepted', status: 'False', reason: 'ShortNamesConflict' },
    { type: 'Established', status: 'False' },
  ]);
  expect(servers.every(each => !each.kinds.byResource('example.com', 'v1', 'twos'))).toBe(true);
});
