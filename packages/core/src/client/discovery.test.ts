import { describe, expect, it } from 'vitest';
import { StatusError } from '../errors/status-error.js';
import { discoverKinds } from './discovery.js';
import type { Transport, TransportRequest } from './transport.js';

function serving(documents: Record<string, object | StatusError>) {
  const requests: TransportRequest[] = [];
  const transport: Transport = {
    async request(request) {
      requests.push(request);
      const document = documents[request.path] ?? new StatusError('NotFound', `nothing at ${request.path}`);
      const failed = document instanceof StatusError;
      const bytes = Buffer.from(JSON.stringify(failed ? document.toStatus() : document));
      async function* body() {
        yield bytes;
      }
      return {
        status: failed ? document.code : 200,
        headers: {},
        warnings: [],
        body: body(),
        bytes: async () => bytes,
      };
    },
    connect: () => Promise.reject(new Error('no')),
    close: async () => undefined,
  };
  return { transport, requests };
}

const resource = (plural: string, kind: string, more: object = {}) => ({
  resource: plural,
  responseKind: { group: '', version: '', kind },
  scope: 'Namespaced',
  singularResource: kind.toLowerCase(),
  verbs: ['get', 'list', 'watch'],
  ...more,
});
const aggregated = (items: object[]) => ({
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  metadata: {},
  items,
});
const modern = {
  '/api': aggregated([
    {
      metadata: { name: '' },
      versions: [
        {
          version: 'v1',
          resources: [
            resource('pods', 'Pod', {
              shortNames: ['po'],
              categories: ['all'],
              subresources: [{ subresource: 'log' }, { subresource: 'status' }],
            }),
            resource('events', 'Event', { shortNames: ['ev'] }),
            resource('nodes', 'Node', { scope: 'Cluster', shortNames: ['no'] }),
          ],
        },
      ],
    },
  ]),
  '/apis': aggregated([
    {
      metadata: { name: 'apps' },
      versions: [
        {
          version: 'v1',
          resources: [resource('deployments', 'Deployment', { shortNames: ['deploy'], categories: ['all'] })],
        },
        { version: 'v1beta1', resources: [resource('deployments', 'Deployment', { categories: ['all'] })] },
      ],
    },
    { metadata: { name: 'events.k8s.io' }, versions: [{ version: 'v1', resources: [resource('events', 'Event')] }] },
    { metadata: { name: 'demo.example.com' }, versions: [{ version: 'v1', resources: [resource('pos', 'Po')] }] },
  ]),
};

describe('discoverKinds', () => {
  it('needs two requests where aggregated discovery is spoken', async () => {
    const { transport, requests } = serving(modern);
    const found = await discoverKinds({ transport });
    expect(requests.map(each => each.path)).toEqual(['/api', '/apis']);
    expect(requests[0]?.headers?.['accept']).toMatch(
      /^application\/json;g=apidiscovery\.k8s\.io;v=v2;as=APIGroupDiscoveryList,.*,application\/json$/,
    );
    expect(found.byKind('v1', 'Pod')).toEqual({
      group: '',
      version: 'v1',
      kind: 'Pod',
      plural: 'pods',
      namespaced: true,
      singular: 'pod',
      shortNames: ['po'],
      categories: ['all'],
      verbs: ['get', 'list', 'watch'],
      subresources: ['log', 'status'],
    });
    expect(found.byName('no').namespaced).toBe(false);
  });

  it('resolves the names that people type', async () => {
    const found = await discoverKinds(serving(modern).transport);
    const gvr = (name: string) => {
      const { group, version, plural } = found.byName(name);
      return `${group}/${version}/${plural}`;
    };
    for (const name of [
      'deploy',
      'deployment',
      'Deployments',
      'deployments.apps',
      'deploy.apps',
      'deployments.v1.apps',
    ]) {
      expect(gvr(name)).toBe('apps/v1/deployments');
    }
    expect(gvr('deployments.v1beta1.apps')).toBe('apps/v1beta1/deployments');
    expect(gvr('events')).toBe('/v1/events');
    expect(gvr('events.events.k8s.io')).toBe('events.k8s.io/v1/events');
    expect(gvr('events.v1')).toBe('/v1/events');
    expect(gvr('pos.demo.example.com')).toBe('demo.example.com/v1/pos');
    // A full name wins over another one's short name.
    expect(gvr('po')).toBe('demo.example.com/v1/pos');
    expect(found.byCategory('all').map(each => each.plural)).toEqual(['pods', 'deployments']);
  });

  it('says what the server lacks', async () => {
    const found = await discoverKinds(serving(modern).transport);
    expect(() => found.byName('foos')).toThrow('the server doesn\'t have a resource type "foos"');
    expect(() => found.byKind('apps/v2', 'Deployment')).toThrow(
      'no matches for kind "Deployment" in version "apps/v2"; the server has Deployment in apps/v1, apps/v1beta1',
    );
  });

  it('reads the older documents where it must, and leaves out a group that is down', async () => {
    const { transport } = serving({
      '/api': { kind: 'APIVersions', versions: ['v1'] },
      '/apis': {
        kind: 'APIGroupList',
        groups: [
          { name: 'apps', versions: [{ version: 'v1beta1' }, { version: 'v1' }], preferredVersion: { version: 'v1' } },
          { name: 'metrics.k8s.io', versions: [{ version: 'v1beta1' }] },
        ],
      },
      '/api/v1': {
        kind: 'APIResourceList',
        resources: [
          { name: 'pods', singularName: 'pod', namespaced: true, kind: 'Pod', verbs: ['get'], shortNames: ['po'] },
          { name: 'pods/log', singularName: '', namespaced: true, kind: 'Pod', verbs: ['get'] },
        ],
      },
      '/apis/apps/v1': { resources: [{ name: 'deployments', namespaced: true, kind: 'Deployment', verbs: ['list'] }] },
      '/apis/apps/v1beta1': {
        resources: [{ name: 'deployments', namespaced: true, kind: 'Deployment', verbs: ['list'] }],
      },
      '/apis/metrics.k8s.io/v1beta1': new StatusError(
        'ServiceUnavailable',
        'the server is currently unable to handle the request',
      ),
    });
    const found = await discoverKinds(transport);
    expect(found.byName('po')).toMatchObject({ plural: 'pods', subresources: ['log'] });
    expect(found.byName('deployment')).toMatchObject({ version: 'v1', singular: 'deployment' });
    expect([...found.failedGroups.keys()]).toEqual(['metrics.k8s.io/v1beta1']);
    expect(() => found.byName('podmetrics')).toThrow('the documents of metrics.k8s.io/v1beta1 could not be read');
  });
});
