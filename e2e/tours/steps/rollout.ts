/** rollout: pods that run, are replaced, and come back. */
import { expect } from 'vitest';
import { type Chapter, echo } from '../tour.js';

const done = 'deployment "web" successfully rolled out\n';

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
