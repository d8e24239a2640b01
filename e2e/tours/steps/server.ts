/** What a server says of itself: version, discovery, explain, raw paths, and who one is. */
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, rowsOf } from '../tour.js';

export const server: Chapter = {
  name: 'server',
  steps: [
    {
      title: 'version',
      run: async tour => {
        const version = JSON.parse(await tour.ok('version -o json'));
        expect(version.clientVersion.minor).toBe(String(tour.minor));
        expect(version.serverVersion).toMatchObject({ major: '1', gitVersion: expect.stringContaining('orbitkit') });
      },
    },
    {
      title: 'cluster-info, cluster-info dump',
      run: async tour => {
        expect(await tour.ok('cluster-info')).toContain('is running at');
        const folder = `${tour.cluster.directory}/dump`;
        await tour.ok(['cluster-info', 'dump', '-A', `--output-directory=${folder}`]);
        const read = async (name: string) => JSON.parse(await readFile(`${folder}/${name}.json`, 'utf8'));
        expect((await read('nodes')).items.map(({ metadata }: any) => metadata.name)).toEqual(['n1', 'n2']);
        expect((await read('default/services')).items[0].metadata.name).toBe('kubernetes');
      },
    },
    {
      title: 'config: contexts, users and clusters of a file of its own',
      run: async tour => {
        const path = await tour.file('kubeconfig', '', 0o600);
        const config = async (words: string) => {
          // set-context has a meaning of its own for -n.
          const args = ['config', ...words.split(' ')];
          const { code, out, err } = await tour.cluster.run(tour.binary, args, { env: { KUBECONFIG: path } });
          expect([code, err]).toEqual([0, '']);
          return out;
        };
        const { clusters } = JSON.parse(await tour.ok('config view --raw -o json'));
        const authority = await tour.file(
          'ca.crt',
          Buffer.from(clusters[0].cluster['certificate-authority-data'], 'base64').toString(),
        );
        await tour.ok('create sa configured');
        const token = (await tour.ok('create token configured')).trim();
        await config(
          `set-cluster here --server=${clusters[0].cluster.server} --certificate-authority=${authority} --embed-certs`,
        );
        await config(`set-credentials robot --token=${token}`);
        await config(`set-context one --cluster=here --user=robot --namespace=${tour.namespace}`);
        expect(await config('use-context one')).toBe('Switched to context "one".\n');
        expect(await config('current-context')).toBe('one\n');
        expect(rowsOf(await config('get-contexts'))).toMatchObject([
          { NAME: 'one', CLUSTER: 'here', AUTHINFO: 'robot' },
        ]);
        expect(await tour.kubectl('get pods', { env: { KUBECONFIG: path } })).toMatchObject({
          code: 1,
          err: expect.stringContaining(`User "system:serviceaccount:${tour.namespace}:configured" cannot list`),
        });
        await config('unset users.robot');
        expect(await config('get-users')).toBe('NAME\n');
      },
    },
    {
      title: 'api-versions',
      run: async tour => {
        const versions = (await tour.ok('api-versions')).trim().split('\n');
        expect(versions).toEqual(
          expect.arrayContaining(['v1', 'apps/v1', 'autoscaling/v1', 'autoscaling/v2', 'batch/v1']),
        );
        expect(versions).toEqual([...versions].sort());
      },
    },
    {
      title: 'api-resources',
      run: async tour => {
        const rows = rowsOf(await tour.ok('api-resources'));
        const found = rows.find(({ NAME }) => NAME === 'deployments');
        expect(found).toMatchObject({
          SHORTNAMES: 'deploy',
          APIVERSION: 'apps/v1',
          NAMESPACED: 'true',
          KIND: 'Deployment',
        });
        const names = (await tour.ok('api-resources --namespaced=false --verbs=list -o name')).trim().split('\n');
        expect(names).toEqual(
          expect.arrayContaining(['nodes', 'namespaces', 'clusterroles.rbac.authorization.k8s.io']),
        );
        expect(names).not.toContain('pods');
        expect(await tour.ok('api-resources --api-group=apps -o wide')).toMatch(/deployments\s.*\bwatch\b/);
      },
    },
    {
      title: 'explain',
      run: async tour => {
        expect(await tour.ok('explain deployments')).toMatch(/KIND:\s+Deployment[\s\S]*spec\s+<DeploymentSpec>/);
        expect(await tour.ok('explain pod.spec.containers.image')).toMatch(/KIND:\s+Pod[\s\S]*FIELD: image <string>/);
        expect(await tour.ok('explain service.spec --recursive')).toMatch(/ports\s+<\[\]ServicePort>[\s\S]*targetPort/);
        expect(await tour.ok('explain hpa --api-version=autoscaling/v1')).toMatch(/VERSION:\s+v1/);
        await tour.refused('explain pods.spec.nothing', /field "nothing" does not exist|couldn't find/);
      },
    },
    {
      title: 'explain of OpenAPI v2',
      run: async tour =>
        expect(await tour.ok('explain pods.spec.containers --output=plaintext-openapiv2')).toMatch(
          /RESOURCE: containers <\[\]Object>[\s\S]*name\s+<string> -required-/,
        ),
    },
    {
      title: 'explain of every kind',
      slow: true,
      run: async tour => {
        // Kinds that cannot be listed have no path by which older versions look them up.
        for (const { NAME, APIVERSION } of rowsOf(await tour.ok('api-resources --verbs=list'))) {
          const explain = ['explain', NAME!, `--api-version=${APIVERSION}`];
          expect(await tour.ok([...explain, '--recursive'])).toMatch(/^KIND:\s+\S+$/m);
          // Under one name with a kind of the core group kubectl finds only that one in v2.
          if (!APIVERSION!.startsWith('metrics.k8s.io'))
            expect(await tour.ok([...explain, '--output=plaintext-openapiv2'])).toMatch(/^KIND:\s+\S+$/m);
        }
      },
    },
    {
      title: 'get --raw',
      run: async tour => {
        expect(await tour.ok('get --raw /readyz')).toBe('ok');
        expect(JSON.parse(await tour.ok('get --raw /api/v1/namespaces/default')).metadata.name).toBe('default');
        expect(JSON.parse(await tour.ok('get --raw /openapi/v3')).paths).toHaveProperty(['apis/apps/v1']);
        expect(await tour.ok('get --raw /metrics')).toContain('apiserver_request_total');
        await tour.refused('get --raw /apis/no.such.group', 'NotFound');
        const body = await tour.file('raw.json', { metadata: { name: 'raw' } });
        const path = `/api/v1/namespaces/${tour.namespace}/configmaps`;
        expect(JSON.parse(await tour.ok(['create', '--raw', path, '-f', body])).metadata.uid).toBeTypeOf('string');
        expect(JSON.parse(await tour.ok(['delete', '--raw', `${path}/raw`])).status).toBe('Success');
      },
    },
    {
      title: 'proxy',
      run: async tour => {
        const proxy = tour.start('proxy --port=0');
        try {
          const port = await eventually('the proxy listens', () => {
            const found = /127\.0\.0\.1:(\d+)/.exec(proxy.seen());
            if (!found) throw new Error(proxy.seen());
            return found[1]!;
          });
          const response = await fetch(`http://127.0.0.1:${port}/api/v1/namespaces/kube-system`);
          expect(await response.json()).toMatchObject({ kind: 'Namespace', metadata: { name: 'kube-system' } });
          const maps = `http://127.0.0.1:${port}/api/v1/namespaces/${tour.namespace}/configmaps`;
          const made = await fetch(maps, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ metadata: { name: 'proxied' } }),
          });
          expect([made.status, (await tour.json('get cm proxied')).metadata.name]).toEqual([201, 'proxied']);
          const watch = await fetch(`${maps}?watch=true&fieldSelector=metadata.name%3Dproxied`);
          const first = await watch.body!.getReader().read();
          expect(JSON.parse(Buffer.from(first.value!).toString())).toMatchObject({ type: 'ADDED' });
          expect((await fetch(`${maps}/proxied`, { method: 'DELETE' })).status).toBe(200);
        } finally {
          await proxy.stop();
        }
      },
    },
    {
      title: 'what is not there',
      run: async tour => {
        await tour.refused('get foos', `the server doesn't have a resource type "foos"`);
        await tour.refused('get configmap nothing', 'Error from server (NotFound): configmaps "nothing" not found');
        expect(await tour.ok('get configmap nothing --ignore-not-found')).toBe('');
      },
    },
  ],
};
