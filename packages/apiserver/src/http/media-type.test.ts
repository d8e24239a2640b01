import { describe, expect, it } from 'vitest';
import { answerForm, parseAccept } from './media-type.js';

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const tableBeta = 'application/json;as=Table;v=v1beta1;g=meta.k8s.io';
const protobuf = 'application/vnd.kubernetes.protobuf';

describe('the form of an answer', () => {
  it.each([
    [undefined, { as: 'object', encoding: 'json' }],
    ['', { as: 'object', encoding: 'json' }],
    ['*/*', { as: 'object', encoding: 'json' }],
    ['application/json, */*', { as: 'object', encoding: 'json' }],
    ['application/json;stream=watch', { as: 'object', encoding: 'json' }],
    [`${table},${tableBeta},application/json`, { as: 'Table', version: 'v1', encoding: 'json' }],
    [`${tableBeta},${table},application/json`, { as: 'Table', version: 'v1beta1', encoding: 'json' }],
    ['application/json;as=Table;v=v9;g=meta.k8s.io,application/json', { as: 'object', encoding: 'json' }],
    [`${protobuf},application/json`, { as: 'object', encoding: 'json' }],
    [
      `${protobuf};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json`,
      { as: 'PartialObjectMetadata', version: 'v1', encoding: 'json' },
    ],
    ['application/yaml', { as: 'object', encoding: 'yaml' }],
    ['application/yaml;q=0.5, application/json;q=0.9', { as: 'object', encoding: 'json' }],
    ['text/html,application/xml;q=0.9,*/*;q=0.8', { as: 'object', encoding: 'json' }],
  ])('%s', (accept, form) => expect(answerForm(accept)).toEqual(form));

  it.each([protobuf, 'application/xml', 'application/json;q=0', 'application/json;as=Chart;v=v1;g=meta.k8s.io'])(
    'cannot be %s',
    accept =>
      expect(() => answerForm(accept)).toThrow(
        expect.objectContaining({
          code: 406,
          reason: 'NotAcceptable',
          message: expect.stringContaining('application/json, application/yaml'),
        }),
      ),
  );

  it('keeps the order of the client where q is equal', () => {
    expect(parseAccept('b/b, a/a;q=0.1, c/c').map(({ type }) => type)).toEqual(['b/b', 'c/c', 'a/a']);
  });
});
