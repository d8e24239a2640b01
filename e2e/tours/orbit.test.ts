/** `orbit` beside kubectl on one cluster: each reads what the other wrote, and the server tells them apart as owners of fields. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../cluster.js';
import { kubectlPath } from './clients.js';
import { map } from './tour.js';

const binary = kubectlPath(33);

describe.skipIf(!binary)('orbit beside kubectl (cd ci && npm ci)', () => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 1 });
  });
  afterAll(() => cluster?.stop(), 90_000);

  const write = (name: string, object: object) => cluster.file(`${name}.json`, JSON.stringify(object));
  const orbit = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await cluster.orbit(args);
    expect([code, err]).toEqual([0, '']);
    return out;
  };
  const kubectl = async (...args: string[]): Promise<string> => {
    const { code, out, err } = await cluster.run(binary!, args);
    expect([code, err]).toEqual([0, expect.not.stringContaining('rror')]);
    return out;
  };
  const stored = async (name: string): Promise<any> =>
    JSON.parse(await kubectl('get', 'cm', name, '-o', 'json', '--show-managed-fields'));
  const ownersOf = async (name: string): Promise<string[]> =>
    (await stored(name)).metadata.managedFields.map(({ manager, operation }: any) => `${manager} ${operation}`).sort();

  it('apply --server-side: creates, changes, drops; another owner is a conflict that names the field and what to do', async () => {
    const file = await write('shared', map('shared', { a: '1', b: '2' }));
    expect(await orbit('apply', '--server-side', '-f', file)).toBe('configmap/shared serverside-applied\n');
    expect(await ownersOf('shared')).toEqual(['orbit Apply']);
    await write('shared', map('shared', { a: '3' }));
    expect(await orbit('apply', '--server-side', '--dry-run', 'server', '-f', file)).toBe(
      'configmap/shared serverside-applied (server dry run)\n',
    );
    expect((await stored('shared')).data).toEqual({ a: '1', b: '2' });
    await orbit('apply', '--server-side', '-f', file);
    expect((await stored('shared')).data).toEqual({ a: '3' });

    const other = await write('other', map('shared', { a: 'mine' }));
    await kubectl('apply', '--server-side', '--force-conflicts', '-f', other);
    const refused = await cluster.orbit(['apply', '--server-side', '-f', file]);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(
      /shared\.json:\d+:\d+: Apply failed with 1 conflict: conflict with "kubectl": \.data\.a\n/,
    );
    expect(refused.err).toMatch(/shared\.json:\d+:\d+: data\.a: conflict with "kubectl"/);
    expect(refused.err).toContain('--force-conflicts');
    await orbit('apply', '--server-side', '--force-conflicts', '--field-manager', 'another', '-f', file);
    expect((await stored('shared')).data).toEqual({ a: '3' });
    // Whoever owns nothing any more is not named.
    expect(await ownersOf('shared')).toEqual(['another Apply']);
  });

  it.each([
    ['orbit', () => orbit],
    ['kubectl', () => kubectl],
  ])(
    'what %s applied by the client moves over to the server, and what is no longer said goes',
    async (name, client) => {
      const object = `moved-by-${name}`;
      const file = await write(object, map(object, { a: '1', b: '2' }));
      await client()('apply', '-f', file);
      await kubectl('label', 'cm', object, 'own=kept');
      await write(object, map(object, { a: '9' }));
      expect(await orbit('apply', '--server-side', '-f', file)).toBe(`configmap/${object} serverside-applied\n`);
      const { data, metadata } = await stored(object);
      expect(data).toEqual({ a: '9' });
      expect([metadata.labels, metadata.annotations]).toEqual([{ own: 'kept' }, undefined]);
      expect(await ownersOf(object)).toEqual(['kubectl-label Update', 'orbit Apply']);
    },
  );

  it('--force-conflicts without --server-side is refused', async () => {
    const { code, err } = await cluster.orbit(['apply', '--force-conflicts', '-f', '-'], { input: '{}' });
    expect([code, err]).toEqual([1, expect.stringContaining('--force-conflicts needs --server-side')]);
  });
});
