/** get, in every form in which it asks and prints. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, map, rowsOf, script } from '../tour.js';

export const get: Chapter = {
  name: 'get',
  steps: [
    {
      title: 'tables, wide ones, labels',
      run: async tour => {
        const objects = ['c', 'a', 'b'].map((name, index) =>
          map(name, { size: String(index) }, { labels: { half: index < 2 ? 'first' : 'second' } }),
        );
        const file = await tour.file('maps.yaml', [...objects, echo('idle', 0)]);
        expect(await tour.ok(['create', '-f', file])).toBe(
          'configmap/c created\nconfigmap/a created\nconfigmap/b created\ndeployment.apps/idle created\n',
        );
        const names = rowsOf(await tour.ok('get cm')).map(({ NAME }) => NAME);
        expect(names.filter(name => name!.length === 1)).toEqual(['a', 'b', 'c']);
        expect(rowsOf(await tour.ok('get deploy idle -o wide'))[0]).toMatchObject({
          NAME: 'idle',
          READY: '0/0',
          CONTAINERS: 'echo',
          IMAGES: 'orbitkit/echo:1',
          SELECTOR: 'app=idle',
        });
        expect(rowsOf(await tour.ok('get cm a --show-labels'))[0]).toMatchObject({ LABELS: 'half=first' });
        expect(rowsOf(await tour.ok('get cm a -L half'))[0]).toMatchObject({ HALF: 'first' });
        expect(await tour.ok('get cm a --no-headers')).toMatch(/^a\s+1\s+\S+\n$/);
        expect(await tour.ok('get cm,deploy -l half=first')).toMatch(/configmap\/a[\s\S]*configmap\/c/);
        expect(rowsOf(await tour.ok('get deploy --show-kind'))[0]).toMatchObject({ NAME: 'deployment.apps/idle' });
        expect((await tour.ok('get ns -A -o name')).split('\n')).toContain(`namespace/${tour.namespace}`);
      },
    },
    {
      title: 'json, yaml, name, jsonpath, go-template, custom-columns',
      run: async tour => {
        expect((await tour.json('get cm a')).data).toEqual({ size: '1' });
        expect(await tour.ok('get cm a -o yaml')).toMatch(/^apiVersion: v1\ndata:\n {2}size: "1"\nkind: ConfigMap\n/);
        expect(await tour.ok('get cm a b -o name')).toBe('configmap/a\nconfigmap/b\n');
        expect(await tour.ok(['get', 'cm', 'a', 'b', '-o', 'jsonpath={range .items[*]}{.data.size},{end}'])).toBe(
          '1,2,',
        );
        expect(await tour.ok(['get', 'cm', 'a', '-o', 'go-template={{.metadata.name}} {{.data.size}}'])).toBe('a 1');
        const template = await tour.file('template', '{.kind}');
        expect(await tour.ok(['get', 'cm', 'a', '-o', `jsonpath-file=${template}`])).toBe('ConfigMap');
        const columns = await tour.ok('get cm a b -o custom-columns=WHO:.metadata.name,SIZE:.data.size');
        expect(rowsOf(columns)).toEqual([
          { WHO: 'a', SIZE: '1' },
          { WHO: 'b', SIZE: '2' },
        ]);
        expect((await tour.json('get cm a --show-managed-fields')).kind).toBe('ConfigMap');
      },
    },
    {
      title: '--sort-by, --chunk-size, selectors',
      run: async tour => {
        const mine = ['-l', 'half'];
        const sorted = async (by: string) =>
          rowsOf(await tour.ok(['get', 'cm', ...mine, `--sort-by=${by}`])).map(({ NAME }) => NAME);
        expect(await sorted('{.data.size}')).toEqual(['c', 'a', 'b']);
        expect(await sorted('.metadata.name')).toEqual(['a', 'b', 'c']);
        for (const size of [0, 1, 2, 500])
          expect(await tour.ok(['get', 'cm', ...mine, '-o', 'name', `--chunk-size=${size}`])).toBe(
            'configmap/a\nconfigmap/b\nconfigmap/c\n',
          );
        const selected = async (...words: string[]) => tour.ok(['get', 'cm', '-o', 'name', ...words]);
        expect(await selected('--field-selector=metadata.name=b')).toBe('configmap/b\n');
        expect(await selected('-l', 'half in (second),!other')).toBe('configmap/b\n');
        expect(await selected('-l', 'half!=first,half')).toBe('configmap/b\n');
        await tour.refused('get cm --field-selector=data.size=1', 'is not a known field selector');
        expect((await tour.kubectl('get cm -l none=here')).err).toContain('No resources found');
      },
    },
    {
      title: '--field-selector of each field that there is',
      run: async tour => {
        const pod = script('pinned', 'sleep 600');
        await tour.ok([
          'create',
          '-f',
          await tour.file('pinned.yaml', { ...pod, spec: { ...pod.spec, nodeName: 'n1' } }),
        ]);
        await tour.ok('wait pod/pinned --for=condition=Ready --timeout=60s');
        await tour.ok('create secret generic opaque');
        await tour.ok('create job never --image=busybox -- true');
        const { podIP } = (await tour.json('get pod pinned')).status;
        const found = async (kind: string, selector: string) =>
          (await tour.ok(['get', kind, '-o', 'name', `--field-selector=${selector}`])).split('\n').filter(Boolean);
        const place = `metadata.name=pinned,metadata.namespace=${tour.namespace}`;
        const scheduled = 'spec.nodeName=n1,spec.schedulerName=default-scheduler,spec.restartPolicy=Never';
        const account = 'spec.serviceAccountName=default,spec.hostNetwork=false';
        const running = `status.phase=Running,status.podIP=${podIP},status.nominatedNodeName=`;
        expect(await found('pods', [place, scheduled, account, running].join())).toEqual(['pod/pinned']);
        expect(await found('pods', `${place},spec.nodeName!=n1`)).toEqual([]);
        expect(await found('secrets', 'type=Opaque')).toEqual(['secret/opaque']);
        expect(await found('namespaces', `metadata.name=${tour.namespace},status.phase=Active`)).toHaveLength(1);
        expect(await found('nodes', 'metadata.name=n1,spec.unschedulable=false')).toEqual(['node/n1']);
        await eventually('the job is done', async () =>
          expect(await found('jobs', 'status.successful=1')).toEqual(['job.batch/never']),
        );
        expect(await found('rs', 'status.replicas=0')).toHaveLength(1);
        const event = 'involvedObject.kind=Pod,involvedObject.name=pinned,type=Normal,reason=Started';
        expect(await found('events', `${event},involvedObject.namespace=${tour.namespace}`)).toHaveLength(1);
        await tour.refused('get pods --field-selector=spec.containers=x', 'field label not supported');
        await tour.ok('delete pod/pinned job/never secret/opaque --now --wait=false');
      },
    },
    {
      title: '--subresource',
      run: async tour => {
        expect(rowsOf(await tour.ok('get deploy idle --subresource=status'))[0]).toMatchObject({ NAME: 'idle' });
        expect(await tour.json('get deploy idle --subresource=scale')).toMatchObject({
          apiVersion: 'autoscaling/v1',
          kind: 'Scale',
          spec: {},
        });
        expect(rowsOf(await tour.ok('get deploy idle --subresource=scale'))[0]).toMatchObject({
          NAME: 'idle',
          DESIRED: '0',
        });
      },
    },
    {
      title: '-w, --watch-only, --output-watch-events',
      run: async tour => {
        const all = tour.start('get cm -l watched -w --output-watch-events');
        const only = tour.start(['get', 'cm', '--field-selector=metadata.name=seen', '--watch-only', '-o', 'name']);
        try {
          await new Promise(resolve => setTimeout(resolve, 300));
          await tour.ok([
            'create',
            '-f',
            await tour.file('seen.yaml', map('seen', {}, { labels: { watched: 'yes' } })),
          ]);
          await tour.ok('annotate cm seen note=1');
          await tour.ok('label cm seen watched-');
          await eventually('three events', () => {
            const events = rowsOf(all.seen()).map(({ EVENT, NAME }) => `${EVENT} ${NAME}`);
            if (events.join() !== 'ADDED seen,MODIFIED seen,DELETED seen') throw new Error(all.seen());
          });
          await eventually('the other watch', () => {
            if (only.seen() !== 'configmap/seen\n'.repeat(3)) throw new Error(only.seen());
          });
        } finally {
          await Promise.all([all.stop(), only.stop()]);
        }
      },
    },
    {
      title: 'of a file, a folder of kinds, all',
      run: async tour => {
        const file = await tour.file('again.yaml', [map('a'), echo('idle', 0)]);
        expect(await tour.ok(['get', '-f', file, '-o', 'name'])).toBe('configmap/a\ndeployment.apps/idle\n');
        expect(await tour.ok('get configmap/a deployment/idle -o name')).toBe('configmap/a\ndeployment.apps/idle\n');
        expect(await tour.ok('get all')).toContain('deployment.apps/idle');
      },
    },
  ],
};
