/** delete: what becomes of dependents, how long one waits, and how much goes at once. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, map, script, type Tour } from '../tour.js';

const names = async (tour: Tour, words: string): Promise<string[]> =>
  (await tour.ok(`get ${words} -o name`)).split('\n').filter(Boolean);

export const remove: Chapter = {
  name: 'delete',
  steps: [
    {
      title: '--cascade=background, foreground and orphan',
      run: async tour => {
        for (const cascade of ['background', 'foreground', 'orphan']) {
          await tour.ok(['create', '-f', await tour.file('web.yaml', echo('web', 1))]);
          await eventually('its replica set is there', async () => (await names(tour, 'rs -l app=web')).length === 1);
          expect(await tour.ok(`delete deploy web --cascade=${cascade} --timeout=60s`)).toMatch(
            /^deployment\.apps "web" deleted/,
          );
          await tour.refused('get deploy web', 'NotFound');
          if (cascade === 'foreground') expect(await names(tour, 'rs -l app=web')).toEqual([]);
          if (cascade === 'orphan') {
            const [set] = (await tour.json('get rs -l app=web')).items;
            expect(set.metadata).not.toHaveProperty('ownerReferences');
            await tour.ok('delete rs -l app=web');
          }
          await eventually(
            'nothing of it is left',
            async () => (await names(tour, 'rs,pods -l app=web')).length === 0,
            60_000,
          );
        }
      },
    },
    {
      title: 'of several, by label, of a file, of all',
      run: async tour => {
        const labelled = (name: string, set: string) => map(name, {}, { labels: { set } });
        const objects = [
          labelled('a', 'x'),
          labelled('b', 'x'),
          labelled('c', 'y'),
          labelled('d', 'y'),
          labelled('e', 'z'),
        ];
        const file = await tour.file('maps.yaml', objects);
        await tour.ok(['create', '-f', file]);
        expect(await tour.ok('delete cm a --dry-run=server')).toMatch(/^configmap "a" deleted.*\(server dry run\)\n$/);
        expect(await tour.ok('delete cm a --dry-run=client')).toMatch(/^configmap "a" deleted.*\(dry run\)\n$/);
        expect(await tour.ok('delete cm/a cm/c')).toMatch(/^configmap "a" deleted.*\nconfigmap "c" deleted.*\n$/);
        expect(await tour.ok('delete cm -l set=x')).toMatch(/^configmap "b" deleted/);
        expect(await tour.ok(['delete', '-f', file, '--ignore-not-found'])).toMatch(/"d" deleted[\s\S]*"e" deleted/);
        await tour.refused('delete cm a', 'configmaps "a" not found');
        expect(await tour.ok('delete cm a --ignore-not-found')).toBe('');
        await tour.ok(['create', '-f', file]);
        expect(await tour.ok('delete cm --all')).toMatch(/"a" deleted[\s\S]*"e" deleted/);
        expect(await names(tour, 'cm -l set')).toEqual([]);
      },
    },
    {
      title: '--now, --grace-period=0 --force, --wait=false',
      run: async tour => {
        const file = await tour.file(
          'pods.yaml',
          ['first', 'second', 'third'].map(name => script(name, 'trap "" TERM; while true; do sleep 0.2; done')),
        );
        await tour.ok(['create', '-f', file]);
        await tour.ok('wait pod --all --for=condition=Ready --timeout=60s');
        expect(await tour.ok('delete pod first --now --timeout=60s')).toMatch(/^pod "first" deleted/);
        const forced = await tour.kubectl('delete pod second --grace-period=0 --force');
        expect([forced.code, forced.out + forced.err]).toEqual([
          0,
          expect.stringMatching(/pod "second" force deleted/),
        ]);
        await tour.refused('get pod second', 'NotFound');
        expect(await tour.ok('delete pod third --wait=false')).toMatch(/^pod "third" deleted/);
        await eventually('the last is gone', async () => (await names(tour, 'pods')).length === 0, 60_000);
      },
    },
    {
      title: 'of a namespace and what is in it',
      run: async tour => {
        await tour.ok('create ns delete-me');
        await tour.ok('create cm inside -n delete-me');
        expect(await tour.ok('delete ns delete-me --timeout=60s')).toMatch(/^namespace "delete-me" deleted/);
        await tour.refused('get ns delete-me', 'NotFound');
        await tour.refused('delete ns default', 'this namespace may not be deleted');
      },
    },
  ],
};
