import {
  builtinKinds,
  FlowSchema,
  type Kind,
  kindRegistry,
  manualClock,
  PriorityLevelConfiguration,
  silentLogger,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { fixture } from '../registry/resources-fixture.js';
import { bootstrapLevels, bootstrapSchemas } from './bootstrap-configuration.js';
import { ensureFlowConfiguration } from './keep-configuration.js';

it('creates what is missing, puts the mandatory right, and leaves alone what a person has taken over', async () => {
  await using made = await fixture();
  const options = {
    resources: made.resources,
    kinds: kindRegistry(builtinKinds),
    clock: manualClock(0),
    log: silentLogger,
    signal: made.context.signal,
  };
  const names = async (kind: Kind<any>) => (await made.list(kind)).map(({ metadata }) => metadata.name).sort();
  await ensureFlowConfiguration(options);
  expect(await names(PriorityLevelConfiguration)).toEqual(bootstrapLevels.map(({ name }) => name).sort());
  expect(await names(FlowSchema)).toEqual(bootstrapSchemas.map(({ name }) => name).sort());

  const versions = async () => (await made.list(FlowSchema)).map(({ metadata }) => metadata.resourceVersion);
  const before = await versions();
  await ensureFlowConfiguration(options);
  expect(await versions()).toEqual(before);

  await made.delete(FlowSchema, { name: 'probes' });
  await made.delete(PriorityLevelConfiguration, { name: 'exempt' });
  const precedence = { spec: { matchingPrecedence: 9_999 } };
  await made.patch(FlowSchema, { name: 'catch-all' }, precedence);
  await made.patch(FlowSchema, { name: 'global-default' }, precedence);
  const mine = { metadata: { annotations: { 'apf.kubernetes.io/autoupdate-spec': 'false' } }, ...precedence };
  await made.patch(FlowSchema, { name: 'service-accounts' }, mine);
  await ensureFlowConfiguration(options);
  expect(await names(FlowSchema)).toContain('probes');
  expect(await names(PriorityLevelConfiguration)).toContain('exempt');
  const of = async (name: string) =>
    ((await made.get(FlowSchema, { name })) as unknown as FlowSchema).spec.matchingPrecedence;
  expect([await of('catch-all'), await of('global-default'), await of('service-accounts')]).toEqual([
    10_000, 9_900, 9_999,
  ]);
});
