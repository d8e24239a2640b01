/** What a server says of itself: version, discovery, explain, raw paths, and who one is. */
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
      title: 'cluster-info',
      run: async tour => expect(await tour.ok('cluster-info')).toContain('is running at'),
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
