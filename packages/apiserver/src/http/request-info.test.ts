import { describe, expect, it } from 'vitest';
import { splitTarget } from './query.js';
import { requestInfoOf } from './request-info.js';

function info(method: string, target: string) {
  const { path, query } = splitTarget(target);
  return requestInfoOf(method, path, query);
}

describe('what a request asks for', () => {
  it.each([
    ['GET', '/api/v1/pods', { verb: 'list', group: '', resource: 'pods', namespace: undefined, name: undefined }],
    ['GET', '/api/v1/namespaces/n/pods', { verb: 'list', resource: 'pods', namespace: 'n', name: undefined }],
    ['GET', '/api/v1/namespaces/n/pods/p', { verb: 'get', resource: 'pods', namespace: 'n', name: 'p' }],
    ['HEAD', '/api/v1/namespaces/n/pods/p', { verb: 'get', name: 'p' }],
    ['GET', '/api/v1/namespaces/n/pods/p?watch=true', { verb: 'get', name: 'p' }],
    ['GET', '/api/v1/namespaces/n/pods?watch=1', { verb: 'watch', name: undefined }],
    ['GET', '/api/v1/namespaces/n/pods?watch', { verb: 'watch' }],
    ['GET', '/api/v1/namespaces/n/pods?watch=false', { verb: 'list' }],
    ['GET', '/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dp', { verb: 'watch', name: 'p' }],
    ['GET', '/api/v1/pods?fieldSelector=metadata.name!=p', { verb: 'list', name: undefined }],
    ['GET', '/api/v1/watch/namespaces/n/pods/p', { verb: 'watch', resource: 'pods', namespace: 'n', name: 'p' }],
    ['GET', '/apis/apps/v1/watch/deployments', { verb: 'watch', group: 'apps', resource: 'deployments' }],
    ['GET', '/api/v1/namespaces', { verb: 'list', resource: 'namespaces', name: undefined, namespace: undefined }],
    ['GET', '/api/v1/namespaces/n', { verb: 'get', resource: 'namespaces', name: 'n', namespace: 'n' }],
    [
      'PUT',
      '/api/v1/namespaces/n/finalize',
      { verb: 'update', resource: 'namespaces', name: 'n', subresource: 'finalize' },
    ],
    ['GET', '/api/v1/namespaces/n/status', { verb: 'get', resource: 'namespaces', name: 'n', subresource: 'status' }],
    ['PATCH', '/apis/apps/v1/namespaces/n/deployments/d/scale', { verb: 'patch', name: 'd', subresource: 'scale' }],
    ['POST', '/api/v1/namespaces/n/pods/p/binding', { verb: 'create', subresource: 'binding', rest: undefined }],
    ['DELETE', '/api/v1/namespaces/n/pods', { verb: 'deletecollection' }],
    ['DELETE', '/api/v1/namespaces/n/pods/p', { verb: 'delete' }],
    [
      'GET',
      '/api/v1/nodes/n1/proxy/stats/summary',
      { resource: 'nodes', name: 'n1', subresource: 'proxy', rest: 'stats/summary' },
    ],
    ['GET', '/api/v1/nodes/n1/proxy/', { subresource: 'proxy', rest: '' }],
    ['GET', '/api/v1/nodes/n1/proxy', { subresource: 'proxy', rest: undefined }],
    ['GET', '/api/v1/namespaces/n/pods/http:p:80/proxy/a%2Fb/c/', { name: 'http:p:80', rest: 'a%2Fb/c/' }],
    ['GET', '/api/v1/namespaces/n/pods/a%3Ab', { name: 'a:b' }],
    ['GET', '/api/v1/namespaces/n/pods/', { verb: 'list', name: undefined }],
  ])('%s %s', (method, target, expected) => {
    expect(info(method, target)).toMatchObject({ isResource: true, ...expected });
  });

  it.each(['/', '/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1', '/healthz', '/api/', '/apis/apps/v1/'])(
    '%s is no resource',
    path => expect(info('GET', path)).toMatchObject({ isResource: false, verb: 'get', resource: '' }),
  );

  it('refuses a name that is not valid percent-encoding', () => {
    expect(() => info('GET', '/api/v1/namespaces/n/pods/%zz')).toThrow(/percent-encoding/);
  });
});
