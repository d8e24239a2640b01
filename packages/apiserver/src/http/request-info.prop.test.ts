import { isStatusError, pathOf } from '@orbitkit/core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { splitTarget } from './query.js';
import { requestInfoOf } from './request-info.js';

const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
const namespaceWords = ['status', 'finalize'];

it('reads back the path of every object and subresource', () => {
  const ref = fc.record({
    group: fc.oneof(fc.constant(''), label),
    version: fc.constantFrom('v1', 'v1beta1'),
    kind: fc.constant('K'),
    plural: label.filter(plural => plural !== 'watch' && plural !== 'namespaces' && !namespaceWords.includes(plural)),
    namespaced: fc.boolean(),
  });
  fc.assert(
    fc.property(
      ref,
      label,
      fc.string({ minLength: 1, unit: 'grapheme' }),
      fc.option(label, { nil: undefined }),
      (kind, namespace, name, subresource) => {
        const info = requestInfoOf('GET', ...targetOf(pathOf(kind, { namespace, name }, subresource)));
        expect(info).toMatchObject({
          verb: 'get',
          isResource: true,
          group: kind.group,
          version: kind.version,
          resource: kind.plural,
          namespace: kind.namespaced ? namespace : undefined,
          name,
          subresource,
          rest: undefined,
        });
        const list = requestInfoOf('GET', ...targetOf(pathOf(kind, { namespace })));
        expect(list).toMatchObject({
          verb: 'list',
          resource: kind.plural,
          name: undefined,
          namespace: kind.namespaced ? namespace : undefined,
        });
      },
    ),
  );
});

it('never fails on any path but with a Status', () => {
  const path = fc
    .array(
      fc.oneof(
        fc.constantFrom('api', 'apis', 'v1', 'namespaces', 'watch', 'pods', 'proxy', '', '%', '%41', '..'),
        fc.string(),
      ),
    )
    .map(parts => `/${parts.join('/')}`);
  fc.assert(
    fc.property(fc.constantFrom('GET', 'POST', 'DELETE', 'OPTIONS'), path, fc.string(), (method, target, query) => {
      try {
        requestInfoOf(method, ...targetOf(`${target}?${query}`));
      } catch (error) {
        expect(isStatusError(error)).toBe(true);
      }
    }),
  );
});

function targetOf(target: string): [path: string, query: ReturnType<typeof splitTarget>['query']] {
  const { path, query } = splitTarget(target);
  return [path, query];
}
