/** apply by the client and by the server, what it remembers, prune, diff and kustomize. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type Chapter, echo, map, type Tour } from '../tour.js';

const managersOf = async (tour: Tour, reference: string): Promise<string[]> =>
  (await tour.json(['get', reference, '--show-managed-fields'])).metadata.managedFields
    .map(({ manager, operation }: any) => `${manager} ${operation}`)
    // The server's order is that of their times, in whole seconds.
    .sort();

export const apply: Chapter = {
  name: 'apply',
  steps: [
    {
      title: 'creates, leaves alone, configures',
      run: async tour => {
        const labels = { app: 'web', tier: 'front' };
        const file = await tour.file('web.yaml', [echo('web', 0, { labels }), map('words', { a: '1', b: '2' })]);
        expect(await tour.ok(['apply', '-f', file])).toBe('deployment.apps/web created\nconfigmap/words created\n');
        expect(await tour.ok(['apply', '-f', file])).toBe('deployment.apps/web unchanged\nconfigmap/words unchanged\n');
        await tour.ok('label deploy web own=kept');
        await tour.file('web.yaml', [
          echo('web', 0, { labels: { app: 'web' }, image: 'orbitkit/echo:2', env: [{ name: 'A', value: 'b' }] }),
          map('words', { a: '1' }),
        ]);
        expect(await tour.ok(['apply', '-f', file])).toBe(
          'deployment.apps/web configured\nconfigmap/words configured\n',
        );
        const web = await tour.json('get deploy web');
        expect(web.metadata.labels).toEqual({ app: 'web', own: 'kept' });
        expect(web.spec.template.spec.containers[0]).toMatchObject({
          image: 'orbitkit/echo:2',
          env: [{ name: 'A', value: 'b' }],
          ports: [{ containerPort: 8080 }],
        });
        expect((await tour.json('get cm words')).data).toEqual({ a: '1' });
        expect(await tour.ok(['apply', '-f', '-'], { input: JSON.stringify(map('piped')) })).toBe(
          'configmap/piped created\n',
        );
      },
    },
    {
      title: 'view-last-applied, set-last-applied, edit-last-applied',
      run: async tour => {
        expect(JSON.parse(await tour.ok('apply view-last-applied cm words -o json')).data).toEqual({ a: '1' });
        const file = await tour.file('last.yaml', map('words', { a: '0' }));
        expect(await tour.ok(['apply', 'set-last-applied', '-f', file])).toBe('configmap/words configured\n');
        expect(JSON.parse(await tour.ok('apply view-last-applied cm/words -o json')).data).toEqual({ a: '0' });
        const editor = await tour.file('editor.sh', '#!/bin/sh\nsed -i "s/a: \\"0\\"/a: \\"9\\"/" "$1"\n', 0o755);
        expect(await tour.ok('apply edit-last-applied cm/words', { env: { EDITOR: editor } })).toBe(
          'configmap/words edited\n',
        );
        expect(JSON.parse(await tour.ok('apply view-last-applied cm/words -o json')).data).toEqual({ a: '9' });
      },
    },
    {
      title: '--dry-run=server, diff',
      run: async tour => {
        const file = await tour.file('next.yaml', [map('words', { a: '1', z: 'new' }), map('fresh', { f: '1' })]);
        expect(await tour.ok(['apply', '--dry-run=server', '-f', file])).toBe(
          'configmap/words configured (server dry run)\nconfigmap/fresh created (server dry run)\n',
        );
        const difference = await tour.kubectl(['diff', '-f', file]);
        expect([difference.code, difference.out]).toEqual([1, expect.stringMatching(/^\+ {2}z: new$/m)]);
        expect((await tour.json('get cm words')).data).not.toHaveProperty('z');
        await tour.ok(['apply', '-f', file]);
        expect(await tour.kubectl(['diff', '-f', file])).toMatchObject({ code: 0, out: '' });
      },
    },
    {
      title: '--prune',
      run: async tour => {
        const owned = (name: string) => map(name, { name }, { labels: { set: 'one' } });
        const file = await tour.file('set.yaml', [owned('first'), owned('second')]);
        const prune = ['apply', '--prune', '-l', 'set=one', '--prune-allowlist=core/v1/ConfigMap', '-f', file];
        expect(await tour.ok(prune)).toBe('configmap/first created\nconfigmap/second created\n');
        await tour.file('set.yaml', [owned('second')]);
        expect(await tour.ok(prune)).toBe('configmap/second unchanged\nconfigmap/first pruned\n');
        await tour.refused('get cm first', 'NotFound');
      },
    },
    {
      title: '--prune with an ApplySet',
      run: async tour => {
        const file = await tour.file('applied.yaml', [map('in-one', { a: '1' }), map('in-two', { a: '1' })]);
        const env = { KUBECTL_APPLYSET: 'true' };
        const words = ['apply', '--prune', '--applyset=parent', '-f', file];
        expect(await tour.ok(words, { env })).toBe('configmap/in-one created\nconfigmap/in-two created\n');
        const id = (await tour.json('get secret parent')).metadata.labels['applyset.kubernetes.io/id'];
        const member = async (name: string) => (await tour.json(`get cm ${name}`)).metadata.labels;
        expect(await member('in-one')).toEqual({ 'applyset.kubernetes.io/part-of': id });
        await tour.file('applied.yaml', [map('in-one', { a: '2' })]);
        expect(await tour.ok(words, { env })).toBe('configmap/in-one configured\nconfigmap/in-two pruned\n');
        expect((await tour.json('get cm in-one')).data).toEqual({ a: '2' });
        await tour.refused('get cm in-two', 'NotFound');
      },
    },
    {
      title: '-k',
      run: async tour => {
        const folder = join(dirname(await tour.file('x', '')), 'kustomized');
        await mkdir(folder, { recursive: true });
        await writeFile(join(folder, 'map.yaml'), JSON.stringify(map('base', { k: 'v' })));
        await writeFile(join(folder, 'kustomization.yaml'), 'namePrefix: my-\nresources: [map.yaml]\n');
        expect(await tour.ok(['apply', '-k', folder])).toBe('configmap/my-base created\n');
        expect(await tour.ok(['delete', '-k', folder])).toMatch(/^configmap "my-base" deleted/);
      },
    },
    {
      title: '--server-side: owners, conflicts, force',
      run: async tour => {
        const file = await tour.file('served.yaml', map('served', { a: '1', b: '2' }));
        const applied = ['apply', '--server-side', '-f', file];
        expect(await tour.ok(applied)).toBe('configmap/served serverside-applied\n');
        const { resourceVersion } = (await tour.json('get cm served')).metadata;
        expect(await tour.ok(applied)).toBe('configmap/served serverside-applied\n');
        expect((await tour.json('get cm served')).metadata.resourceVersion).toBe(resourceVersion);
        expect(await managersOf(tour, 'cm/served')).toEqual(['kubectl Apply']);
        const other = await tour.file('other.yaml', map('served', { a: 'mine' }));
        const byOther = ['apply', '--server-side', '--field-manager=other', '-f', other];
        await tour.refused(byOther, /Apply failed with 1 conflict: conflict with "kubectl": \.data\.a/);
        expect(await tour.ok([...byOther, '--force-conflicts'])).toBe('configmap/served serverside-applied\n');
        expect((await tour.json('get cm served')).data).toEqual({ a: 'mine', b: '2' });
        // What one no longer speaks of, and nobody else owns, goes.
        await tour.file('served.yaml', map('served', {}));
        await tour.ok(applied);
        expect((await tour.json('get cm served')).data).toEqual({ a: 'mine' });
        expect(await tour.ok([...byOther, '--dry-run=server'])).toContain('serverside-applied (server dry run)');
      },
    },
    {
      title: 'diff --server-side',
      run: async tour => {
        const file = await tour.file('other.yaml', map('served', { a: 'mine', more: 'x' }));
        const difference = await tour.kubectl(['diff', '--server-side', '--field-manager=other', '-f', file]);
        expect([difference.code, difference.out]).toEqual([1, expect.stringMatching(/^\+ {2}more: x$/m)]);
      },
    },
    {
      title: 'from client-side to server-side',
      run: async tour => {
        const file = await tour.file('moving.yaml', map('moving', { a: '1' }));
        await tour.ok(['apply', '-f', file]);
        expect(await tour.ok(['apply', '--server-side', '-f', file])).toBe('configmap/moving serverside-applied\n');
        // The second one keeps the annotation of the client-side apply.
        expect(await managersOf(tour, 'cm/moving')).toEqual(['kubectl Apply', 'kubectl-last-applied Apply']);
        await tour.file('moving.yaml', map('moving', { b: '2' }));
        expect(await tour.ok(['apply', '--server-side', '-f', file])).toBe('configmap/moving serverside-applied\n');
        expect((await tour.json('get cm moving')).data).toEqual({ b: '2' });
      },
    },
    {
      title: '--server-side of lists with keys',
      run: async tour => {
        const file = await tour.file('listed.yaml', echo('listed', 0, { env: [{ name: 'A', value: '1' }] }));
        expect(await tour.ok(['apply', '--server-side', '-f', file])).toBe(
          'deployment.apps/listed serverside-applied\n',
        );
        await tour.ok('set env deploy/listed B=2');
        await tour.file(
          'listed.yaml',
          echo('listed', 0, { env: [{ name: 'A', value: '3' }], image: 'orbitkit/echo:2' }),
        );
        expect(await tour.ok(['apply', '--server-side', '-f', file])).toBe(
          'deployment.apps/listed serverside-applied\n',
        );
        const [container] = (await tour.json('get deploy listed')).spec.template.spec.containers;
        expect(container).toMatchObject({ image: 'orbitkit/echo:2' });
        expect(container.env.toSorted((a: any, b: any) => (a.name < b.name ? -1 : 1))).toEqual([
          { name: 'A', value: '3' },
          { name: 'B', value: '2' },
        ]);
      },
    },
  ],
};
