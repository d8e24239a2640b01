/** rollout: pods that run, are replaced, and come back. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, type Tour } from '../tour.js';

const done = 'deployment "web" successfully rolled out\n';

const imageOf = async (tour: Tour, reference: string): Promise<string> =>
  (await tour.json(['get', reference])).spec.template.spec.containers[0].image;
const revisionsOf = async (tour: Tour, reference: string): Promise<string[] | null> =>
  (await tour.ok(['rollout', 'history', reference])).match(/^\d+/gm);

/** The same pods, of a set of another kind. */
function setOf(kind: 'DaemonSet' | 'StatefulSet', name: string) {
  const { spec } = echo(name, 2);
  const { replicas, ...shared } = spec;
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name },
    spec: kind === 'StatefulSet' ? { ...shared, replicas, serviceName: name } : shared,
  };
}

export const rollout: Chapter = {
  name: 'rollout',
  steps: [
    {
      title: 'status, history',
      run: async tour => {
        await tour.ok(['apply', '-f', await tour.file('web.yaml', echo('web', 2))]);
        expect(await tour.ok('rollout status deploy/web --timeout=60s')).toContain(done);
        await tour.ok('set image deploy/web echo=orbitkit/echo:2');
        expect(await tour.ok('rollout status deploy/web --timeout=60s')).toContain(done);
        expect((await tour.ok('rollout history deploy/web')).match(/^\d+/gm)).toEqual(['1', '2']);
        expect(await tour.ok('rollout history deploy/web --revision=1')).toContain('orbitkit/echo:1');
      },
    },
    {
      title: 'undo',
      run: async tour => {
        expect(await tour.ok('rollout undo deploy/web')).toBe('deployment.apps/web rolled back\n');
        expect(await tour.ok('rollout status deploy/web --timeout=60s')).toContain(done);
        expect((await tour.json('get deploy web')).spec.template.spec.containers[0].image).toBe('orbitkit/echo:1');
        expect((await tour.ok('rollout history deploy/web')).match(/^\d+/gm)).toEqual(['2', '3']);
        await tour.refused('rollout undo deploy/web --to-revision=77', 'unable to find specified revision 77');
      },
    },
    {
      title: 'pause, resume, restart',
      run: async tour => {
        expect(await tour.ok('rollout pause deploy/web')).toBe('deployment.apps/web paused\n');
        await tour.refused('rollout pause deploy/web', 'already paused');
        await tour.refused('rollout restart deploy/web', /can't restart paused deployment/);
        expect(await tour.ok('rollout resume deploy/web')).toBe('deployment.apps/web resumed\n');
        expect((await tour.json('get deploy web')).spec).not.toHaveProperty('paused');
        expect(await tour.ok('rollout restart deploy/web')).toBe('deployment.apps/web restarted\n');
        expect(await tour.ok('rollout status deploy/web --timeout=60s')).toContain(done);
        const annotations = (await tour.json('get deploy web')).spec.template.metadata.annotations;
        expect(annotations).toHaveProperty(['kubectl.kubernetes.io/restartedAt']);
      },
    },
    {
      title: 'daemon sets and stateful sets',
      run: async tour => {
        const file = await tour.file('sets.yaml', [setOf('DaemonSet', 'each'), setOf('StatefulSet', 'ordered')]);
        await tour.ok(['apply', '-f', file]);
        const ends = { 'ds/each': 'successfully rolled out', 'sts/ordered': 'roll out complete: 2 new pods' };
        await Promise.all(
          Object.entries(ends).map(async ([set, end]) => {
            const name = set.split('/')[1]!;
            const done = async () => expect(await tour.ok(`rollout status ${set} --timeout=60s`)).toContain(end);
            const pods = async (): Promise<any[]> => (await tour.json(`get pods -l app=${name}`)).items;
            await done();
            await tour.ok(`set image ${set} echo=orbitkit/echo:2`);
            await done();
            expect((await pods()).map(pod => pod.spec.containers[0].image)).toEqual(Array(2).fill('orbitkit/echo:2'));
            expect(await revisionsOf(tour, set)).toEqual(['1', '2']);
            expect(await tour.ok(`rollout history ${set} --revision=1`)).toContain('orbitkit/echo:1');
            expect(await tour.ok(`rollout undo ${set} --to-revision=1`)).toContain(`/${name} rolled back`);
            await done();
            expect(await imageOf(tour, set)).toBe('orbitkit/echo:1');
            await eventually('its revision is the newest', async () =>
              expect(await revisionsOf(tour, set)).toEqual(['2', '3']),
            );
            const uids = (await pods()).map(pod => pod.metadata.uid);
            expect(await tour.ok(`rollout restart ${set}`)).toContain(`/${name} restarted`);
            await done();
            for (const { metadata } of await pods()) expect(uids).not.toContain(metadata.uid);
            await tour.refused(`rollout pause ${set}`, 'pausing is not supported');
          }),
        );
        await tour.ok('delete ds/each sts/ordered --wait=false');
      },
    },
    {
      title: 'describe of what rolled out',
      run: async tour => {
        const text = await tour.ok('describe deploy web');
        expect(text).toMatch(/Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available/);
        expect(text).toMatch(/NewReplicaSet:\s+web-\S+ \(2\/2 replicas created\)/);
        await tour.ok('delete deploy web --wait=false');
      },
    },
  ],
};
