/** edit, patch, label, annotate, scale, autoscale, set, replace. */
import { expect } from 'vitest';
import { type Chapter, echo, map } from '../tour.js';

export const change: Chapter = {
  name: 'change',
  steps: [
    {
      title: 'patch: strategic, merge, json, a subresource, a file',
      run: async tour => {
        await tour.ok(['create', '-f', await tour.file('start.yaml', [echo('web', 0), map('words', { a: '1' })])]);
        expect(
          await tour.ok([
            'patch',
            'deploy',
            'web',
            '-p',
            '{"spec":{"template":{"spec":{"containers":[{"name":"echo","image":"orbitkit/echo:2"}]}}}}',
          ]),
        ).toBe('deployment.apps/web patched\n');
        const container = async () => (await tour.json('get deploy web')).spec.template.spec.containers[0];
        expect(await container()).toMatchObject({ image: 'orbitkit/echo:2', ports: [{ containerPort: 8080 }] });
        await tour.ok(['patch', 'cm', 'words', '--type=merge', '-p', '{"data":{"a":null,"b":"2"}}']);
        expect((await tour.json('get cm words')).data).toEqual({ b: '2' });
        await tour.ok([
          'patch',
          'cm',
          'words',
          '--type=json',
          '-p',
          '[{"op":"test","path":"/data/b","value":"2"},{"op":"add","path":"/data/c","value":"3"}]',
        ]);
        expect((await tour.json('get cm words')).data).toEqual({ b: '2', c: '3' });
        await tour.refused(
          ['patch', 'cm', 'words', '--type=json', '-p', '[{"op":"test","path":"/data/b","value":"9"}]'],
          /error in our request|test operation/,
        );
        expect(await tour.ok(['patch', 'cm', 'words', '-p', '{"data":{"c":"3"}}'])).toBe(
          'configmap/words patched (no change)\n',
        );
        const file = await tour.file('patch.yaml', 'data:\n  d: "4"\n');
        await tour.ok(['patch', 'cm', 'words', '--type=merge', '--patch-file', file]);
        expect((await tour.json('get cm words')).data).toMatchObject({ d: '4' });
        await tour.ok([
          'patch',
          'deploy',
          'web',
          '--subresource=scale',
          '--type=merge',
          '-p',
          '{"spec":{"replicas":0}}',
        ]);
        await tour.ok(['patch', 'deploy', 'web', '--type=merge', '-p', '{"spec":{"paused":true}}', '--dry-run=server']);
        expect((await tour.json('get deploy web')).spec).not.toHaveProperty('paused');
      },
    },
    {
      title: 'label and annotate',
      run: async tour => {
        expect(await tour.ok('label cm words tier=front')).toBe('configmap/words labeled\n');
        await tour.refused('label cm words tier=back', `'tier' already has a value (front)`);
        expect(await tour.ok('label cm words tier=back --overwrite')).toBe('configmap/words labeled\n');
        expect(await tour.ok('label cm words --list')).toBe('tier=back\n');
        expect(await tour.ok('label cm words tier-')).toBe('configmap/words unlabeled\n');
        expect(await tour.ok('label cm --all everyone=yes')).toContain('configmap/words labeled');
        expect(await tour.ok('annotate cm words note=hello')).toMatch(/^configmap\/words annotated?\n$/);
        expect(await tour.ok('annotate cm words note-')).toMatch(/^configmap\/words annotated?\n$/);
        await tour.refused('label cm words not/a/key=x', /a qualified name must consist of|valid label key/);
      },
    },
    {
      title: 'edit',
      run: async tour => {
        const editor = (text: string) => tour.file(`edit-${text.length}.sh`, `#!/bin/sh\n${text}\n`, 0o755);
        const by = await editor('sed -i "s/d: \\"4\\"/d: \\"5\\"/" "$1"');
        expect(await tour.ok('edit cm words', { env: { EDITOR: by } })).toBe('configmap/words edited\n');
        expect((await tour.json('get cm words')).data.d).toBe('5');
        const idle = await tour.kubectl('edit cm words', { env: { EDITOR: await editor('exit 0') } });
        expect(idle.out + idle.err).toContain('no changes made');
        const grow = await editor('sed -i "s/  revisionHistoryLimit: 10/  revisionHistoryLimit: 3/" "$1"');
        expect(await tour.ok('edit deploy web', { env: { EDITOR: grow } })).toBe('deployment.apps/web edited\n');
        expect((await tour.json('get deploy web')).spec.revisionHistoryLimit).toBe(3);
        const status = await editor('sed -i "s/observedGeneration: .*/observedGeneration: 7/" "$1"');
        const edited = await tour.kubectl('edit deploy web --subresource=status', { env: { EDITOR: status } });
        expect([edited.code, edited.out]).toEqual([0, expect.stringMatching(/edited|no changes/)]);
      },
    },
    {
      title: 'scale',
      run: async tour => {
        expect(await tour.ok('scale deploy web --replicas=0')).toBe('deployment.apps/web scaled\n');
        expect(await tour.ok('scale deploy web --current-replicas=0 --replicas=1')).toBe(
          'deployment.apps/web scaled\n',
        );
        await tour.refused('scale deploy web --current-replicas=7 --replicas=0', /Expected replicas to be 7, was 1/);
        expect(await tour.ok('scale deploy -l app=web --replicas=0')).toBe('deployment.apps/web scaled\n');
      },
    },
    {
      title: 'autoscale',
      run: async tour => {
        expect(await tour.ok('autoscale deploy web --min=1 --max=4 --cpu-percent=80')).toBe(
          'horizontalpodautoscaler.autoscaling/web autoscaled\n',
        );
        expect((await tour.json('get horizontalpodautoscalers.v2.autoscaling web')).spec).toMatchObject({
          minReplicas: 1,
          maxReplicas: 4,
          metrics: [
            { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
          ],
        });
        expect((await tour.json('get horizontalpodautoscalers.v1.autoscaling web')).spec).toMatchObject({
          targetCPUUtilizationPercentage: 80,
        });
        await tour.ok('delete hpa web');
      },
    },
    {
      title: 'set image, env, resources, serviceaccount, selector, subject',
      run: async tour => {
        expect(await tour.ok('set image deploy/web echo=orbitkit/echo:3')).toBe('deployment.apps/web image updated\n');
        expect(await tour.ok('set env deploy/web A=1 B=2')).toBe('deployment.apps/web env updated\n');
        expect(await tour.ok('set env deploy/web B-')).toBe('deployment.apps/web env updated\n');
        expect(await tour.ok('set env deploy/web --list')).toContain('A=1');
        expect(await tour.ok('set env deploy/web --from=configmap/words')).toContain('env updated');
        expect(await tour.ok('set resources deploy/web --limits=cpu=200m,memory=64Mi --requests=cpu=100m')).toBe(
          'deployment.apps/web resource requirements updated\n',
        );
        await tour.ok('create serviceaccount robot');
        expect(await tour.ok('set serviceaccount deploy/web robot')).toBe(
          'deployment.apps/web serviceaccount updated\n',
        );
        const { spec } = (await tour.json('get deploy web')).spec.template;
        expect(spec).toMatchObject({
          serviceAccountName: 'robot',
          containers: [
            {
              image: 'orbitkit/echo:3',
              resources: { limits: { cpu: '200m', memory: '64Mi' }, requests: { cpu: '100m' } },
            },
          ],
        });
        expect(spec.containers[0].env).toContainEqual({ name: 'A', value: '1' });
        await tour.ok('create service clusterip web --tcp=80');
        expect(await tour.ok('set selector service web app=web')).toBe('service/web selector updated\n');
        await tour.ok('create role reader --verb=get --resource=pods');
        await tour.ok('create rolebinding readers --role=reader --user=ann');
        expect(await tour.ok('set subject rolebinding readers --user=bob')).toBe(
          'rolebinding.rbac.authorization.k8s.io/readers subjects updated\n',
        );
        expect((await tour.json('get rolebinding readers')).subjects.map(({ name }: any) => name)).toEqual([
          'ann',
          'bob',
        ]);
      },
    },
    {
      title: 'replace, replace --force',
      run: async tour => {
        const { uid } = (await tour.json('get cm words')).metadata;
        const file = await tour.file('replaced.yaml', map('words', { only: 'this' }));
        expect(await tour.ok(['replace', '-f', file])).toBe('configmap/words replaced\n');
        expect(await tour.json('get cm words')).toMatchObject({ data: { only: 'this' }, metadata: { uid } });
        expect(await tour.ok(['replace', '--force', '-f', file])).toMatch(
          /^configmap "words" deleted.*\nconfigmap\/words replaced\n$/,
        );
        expect((await tour.json('get cm words')).metadata.uid).not.toBe(uid);
        const stale = await tour.file('stale.yaml', map('words', {}, { resourceVersion: '1' }));
        await tour.refused(['replace', '-f', stale], 'the object has been modified');
        await tour.refused(['replace', '-f', await tour.file('none.yaml', map('none'))], 'NotFound');
      },
    },
  ],
};
