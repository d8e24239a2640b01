/** cordon, uncordon, taint, drain, describe: what is done to nodes. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, echo, rowsOf, type Tour } from '../tour.js';

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
      title: 'drain',
      run: async tour => {
        expect(await tour.ok('drain n2 --ignore-daemonsets --delete-emptydir-data --force --timeout=60s')).toMatch(
          /node\/n2 cordoned[\s\S]*evict(ing|ed)[\s\S]*node\/n2 drained/,
        );
        await eventually(
          'all is on the other node',
          async () => expect(await placed(tour)).toEqual(['n1', 'n1']),
          60_000,
        );
        expect(await tour.ok('uncordon n2')).toBe('node/n2 uncordoned\n');
        await tour.ok('delete deploy web --wait=false');
      },
    },
  ],
};
