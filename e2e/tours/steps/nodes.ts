/** cordon, uncordon, taint, drain, describe: what is done to nodes. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, rowsOf, script, type Tour } from '../tour.js';

const placed = async (tour: Tour): Promise<string[]> =>
  (await tour.json('get pods -l app=web')).items
    .filter((pod: any) => !pod.metadata.deletionTimestamp)
    .map((pod: any) => pod.spec.nodeName);

export const nodes: Chapter = {
  name: 'nodes',
  steps: [
    {
      title: 'describe',
      run: async tour => {
        const text = await tour.ok('describe node n1');
        expect(text).toMatch(/^Name:\s+n1$/m);
        expect(text).toMatch(/Ready\s+True/);
        expect(text).toMatch(/^Lease:$/m);
        expect(rowsOf(await tour.ok('get nodes -o wide'))[0]).toMatchObject({ NAME: 'n1', STATUS: 'Ready' });
      },
    },
    {
      title: 'taint',
      run: async tour => {
        expect(await tour.ok('taint node n1 tour=here:NoSchedule')).toBe('node/n1 tainted\n');
        expect((await tour.json('get node n1')).spec.taints).toContainEqual({
          key: 'tour',
          value: 'here',
          effect: 'NoSchedule',
        });
        await tour.refused('taint node n1 tour=there:NoSchedule', 'already has tour taint(s)');
        expect(await tour.ok('taint node n1 tour=there:NoSchedule --overwrite')).toBe('node/n1 modified\n');
        expect(await tour.ok('taint node n1 tour-')).toBe('node/n1 untainted\n');
      },
    },
    {
      title: 'cordon and uncordon',
      run: async tour => {
        expect(await tour.ok('cordon n1')).toBe('node/n1 cordoned\n');
        expect(rowsOf(await tour.ok('get node n1'))[0]).toMatchObject({ STATUS: 'Ready,SchedulingDisabled' });
        await tour.ok(['create', '-f', await tour.file('web.yaml', echo('web', 2))]);
        await tour.ok('rollout status deploy/web --timeout=60s');
        expect(await placed(tour)).toEqual(['n2', 'n2']);
        expect(await tour.ok('uncordon n1')).toBe('node/n1 uncordoned\n');
      },
    },
    {
      title: 'drain waits for a disruption budget, and is refused what it may not do',
      slow: true,
      run: async tour => {
        await tour.ok('create pdb keep --selector=app=web --min-available=2');
        await eventually('the budget is counted', async () =>
          expect((await tour.json('get pdb keep')).status).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 0 }),
        );
        const blocked = await tour.kubectl('drain n2 --ignore-daemonsets --force --timeout=2s');
        expect([blocked.code, blocked.err]).toEqual([
          1,
          expect.stringMatching(/Cannot evict pod as it would violate the pod's disruption budget/),
        ]);
        expect(await placed(tour)).toEqual(['n2', 'n2']);
        expect(rowsOf(await tour.ok('get node n2'))[0]).toMatchObject({ STATUS: 'Ready,SchedulingDisabled' });
        await tour.ok('delete pdb keep');
        await tour.ok('uncordon n2');
        const lone = script('lone', 'trap "" TERM; while true; do sleep 0.2; done');
        await tour.ok([
          'create',
          '-f',
          await tour.file('lone.yaml', { ...lone, spec: { ...lone.spec, nodeName: 'n2' } }),
        ]);
        await tour.ok('wait pod/lone --for=condition=Ready --timeout=60s');
        await tour.refused(
          'drain n2 --ignore-daemonsets --timeout=5s',
          /declare no controller \(use --force to override\)/,
        );
        await eventually('nothing was evicted', async () => (await placed(tour)).length === 2);
        expect(await tour.ok('drain n2 --dry-run=server --force --ignore-daemonsets')).toMatch(/lone.*server dry run/);
        await tour.ok('get pod lone');
        await tour.ok('uncordon n2');
      },
    },
    {
      title: 'drain',
      run: async tour => {
        expect(
          await tour.ok('drain n2 --ignore-daemonsets --delete-emptydir-data --force --grace-period=1 --timeout=60s'),
        ).toMatch(/node\/n2 cordoned[\s\S]*evict(ing|ed)[\s\S]*node\/n2 drained/);
        await eventually(
          'all is on the other node',
          async () => expect(await placed(tour)).toEqual(['n1', 'n1']),
          60_000,
        );
        expect((await tour.json('get pods --field-selector=spec.nodeName=n2')).items).toEqual([]);
        expect(await tour.ok('uncordon n2')).toBe('node/n2 uncordoned\n');
        await tour.ok('delete deploy web --wait=false');
      },
    },
  ],
};
