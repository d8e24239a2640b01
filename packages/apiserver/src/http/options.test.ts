import { describe, expect, it } from 'vitest';
import type { ApiRequest } from './exchange.js';
import { deleteOptions, fieldManagerOf, listOptions, watchOptions, writeOptions } from './options.js';
import { Query } from './query.js';

const asking = (query: string, headers: Record<string, string> = {}) =>
  ({ query: new Query(query), headers }) as unknown as ApiRequest;

describe('options of writes', () => {
  it('takes the writer from the query, else from the user agent', () => {
    const agent = { 'user-agent': 'kubectl/v1.33.1 (linux/amd64) kubernetes/8adc0f0' };
    expect(writeOptions('CreateOptions', asking('fieldManager=me', agent))).toEqual({ fieldManager: 'me' });
    expect(writeOptions('CreateOptions', asking('', agent))).toEqual({ fieldManager: 'kubectl' });
    expect(fieldManagerOf(undefined)).toBe('unknown');
  });

  it.each([
    [
      'dryRun=Some',
      'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "Some": supported values: "All"',
    ],
    [
      'fieldValidation=Foo',
      'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Foo": supported values: "", "Ignore", "Strict", "Warn"',
    ],
    [
      `fieldManager=${'x'.repeat(129)}`,
      'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
    ],
  ])('refuses %s', (query, message) => {
    expect(() => writeOptions('CreateOptions', asking(query))).toThrow(
      expect.objectContaining({
        code: 422,
        message,
        details: expect.objectContaining({ group: 'meta.k8s.io', kind: 'CreateOptions' }),
      }),
    );
  });

  it('wants a writer for an apply, and force for nothing else', () => {
    expect(() => writeOptions('PatchOptions', asking(''), true)).toThrow(
      'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
    );
    expect(() => writeOptions('PatchOptions', asking('force=true&fieldManager=me'))).toThrow(
      'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
    );
    expect(writeOptions('PatchOptions', asking('force=true&fieldManager=me&dryRun=All'), true)).toEqual({
      fieldManager: 'me',
      force: true,
      dryRun: true,
    });
  });
});

describe('options of deletes', () => {
  it('are read from the body, else from the query', () => {
    const query = new Query('gracePeriodSeconds=5&propagationPolicy=Orphan&dryRun=All');
    expect(deleteOptions(query, undefined)).toMatchObject({
      gracePeriodSeconds: 5,
      propagationPolicy: 'Orphan',
      dryRun: true,
    });
    const body = { kind: 'DeleteOptions', propagationPolicy: 'Background', preconditions: { uid: 'u' } };
    expect(deleteOptions(query, body)).toEqual({
      gracePeriodSeconds: undefined,
      propagationPolicy: 'Background',
      orphanDependents: undefined,
      preconditions: { uid: 'u', resourceVersion: undefined },
    });
  });

  it.each([
    [{ propagationPolicy: 'Later' }, 422, /propagationPolicy: Unsupported value: "Later"/],
    [{ propagationPolicy: 'Orphan', orphanDependents: true }, 422, /cannot be both set/],
    [{ dryRun: ['x'] }, 422, /dryRun: Unsupported value/],
    [{ gracePeriodSeconds: 'soon' }, 400, /gracePeriodSeconds has the wrong type/],
    [{ kind: 'Pod' }, 400, /must be DeleteOptions/],
    [[], 400, /must be a DeleteOptions object/],
  ])('refuses %j', (body, code, message) => {
    expect(() => deleteOptions(new Query(''), body)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

describe('options of reads', () => {
  it('ignore a limit below one and refuse one that is no number', () => {
    expect(listOptions(new Query('limit=-1'), 'n')).toMatchObject({ namespace: 'n', limit: undefined });
    expect(listOptions(new Query('limit=3&continue=c'), undefined)).toMatchObject({ limit: 3, continue: 'c' });
    expect(() => listOptions(new Query('limit=many'), undefined)).toThrow(expect.objectContaining({ code: 400 }));
  });

  it('tell sendInitialEvents that is absent from one that is false', () => {
    expect(watchOptions(new Query(''), undefined, undefined).sendInitialEvents).toBeUndefined();
    expect(watchOptions(new Query('sendInitialEvents=false'), undefined, undefined).sendInitialEvents).toBe(false);
  });

  it('narrow a watch by the name in its path', () => {
    expect(watchOptions(new Query(''), 'n', 'p').fieldSelector).toBe('metadata.name=p');
    expect(watchOptions(new Query('fieldSelector=status.phase=Running'), 'n', 'p').fieldSelector).toBe(
      'metadata.name=p,status.phase=Running',
    );
  });
});
