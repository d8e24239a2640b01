import { describe, expect, test } from 'vitest';
import { ConfigMap, Namespace, Service } from '../generated/kinds.js';
import { faults } from './rules-testing.js';

const subdomain = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`;
const of = (metadata: object, previous?: object): string[] =>
  faults(
    ConfigMap,
    { metadata: { name: 'a', namespace: 'default', ...metadata } },
    previous && { metadata: { name: 'a', namespace: 'default', ...previous } },
  );

describe('names', () => {
  test('a name in order', () => expect(of({ name: 'a.b-c.1' })).toEqual([]));
  test('none', () =>
    expect(of({ name: '' })).toEqual(['metadata.name: Required value: name or generateName is required']));
  test('a wrong one', () => expect(of({ name: 'A_b' })).toEqual([`metadata.name: Invalid value: "A_b": ${subdomain}`]));
  test('generateName may end in a dash, the server goes on from there', () => {
    expect(of({ name: '', generateName: 'a-' })).toEqual([]);
    expect(of({ name: '', generateName: '-a' })[0]).toMatch('metadata.generateName: Invalid value: "-a"');
  });
  test('the kind decides on the form', () => {
    const service = (name: string): string[] =>
      faults(Service, { metadata: { name, namespace: 'a' }, spec: { ports: [{ port: 80 }] } });
    expect(service('web')).toEqual([]);
    expect(service('1web')[0]).toMatch('metadata.name: Invalid value: "1web": a DNS-1035 label must consist');
    expect(faults(Namespace, { metadata: { name: 'a.b' } })[0]).toMatch('a lowercase RFC 1123 label must consist');
  });
  test('namespace: required, forbidden, of its form', () => {
    expect(of({ namespace: '' })).toEqual(['metadata.namespace: Required value']);
    expect(of({ namespace: 'A' })[0]).toMatch('metadata.namespace: Invalid value: "A": a lowercase RFC 1123 label');
    expect(faults(Namespace, { metadata: { name: 'a', namespace: 'b' } })).toEqual([
      'metadata.namespace: Forbidden: not allowed on this type',
    ]);
  });
});

describe('labels and annotations', () => {
  test('keys and values', () => {
    expect(of({ labels: { 'a.b/c': 'x', d: '' } })).toEqual([]);
    expect(of({ labels: { 'a b': 'x' } })[0]).toMatch(
      'metadata.labels: Invalid value: "a b": name part must consist of',
    );
    expect(of({ labels: { a: '-x' } })[0]).toMatch(
      'metadata.labels: Invalid value: "-x": a valid label must be an empty string or consist of',
    );
    expect(of({ labels: { a: 'x'.repeat(64) } })[0]).toMatch('must be no more than 63 characters');
  });
  test('annotations hold anything, up to 256 KiB together; their keys in any case', () => {
    expect(of({ annotations: { 'X.Y/z': 'any text {}' } })).toEqual([]);
    expect(of({ annotations: { a: 'x'.repeat(256 * 1024 - 1) } })).toEqual([]);
    expect(of({ annotations: { a: 'ä'.repeat(128 * 1024) } })).toEqual([
      'metadata.annotations: Too long: may not be more than 262144 bytes',
    ]);
    expect(of({ annotations: { '/': 'x' } })[0]).toMatch(
      'metadata.annotations: Invalid value: "/": prefix part must be non-empty',
    );
  });
});

describe('owners and finalizers', () => {
  const owner = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' };
  test('an owner is whole', () => {
    expect(of({ ownerReferences: [owner] })).toEqual([]);
    expect(of({ ownerReferences: [{}] })).toEqual([
      'metadata.ownerReferences[0].apiVersion: Invalid value: "": version must not be empty',
      'metadata.ownerReferences[0].kind: Invalid value: "": must not be empty',
      'metadata.ownerReferences[0].name: Invalid value: "": must not be empty',
      'metadata.ownerReferences[0].uid: Invalid value: "": must not be empty',
    ]);
    expect(of({ ownerReferences: [{ ...owner, kind: 'Event' }] })[0]).toMatch('is disallowed from being an owner');
  });
  test('one of them controls', () => {
    const two = [
      { ...owner, controller: true },
      { ...owner, uid: 'v', name: 'q', controller: true },
    ];
    expect(of({ ownerReferences: two })[0]).toMatch(
      'Only one reference can have Controller set to true. Found "true" in references for p and q',
    );
    expect(of({ ownerReferences: [two[0], owner] })).toEqual([]);
  });
  test('finalizers are qualified or well known', () => {
    expect(of({ finalizers: ['example.com/x', 'orphan'] })).toEqual([]);
    expect(of({ finalizers: ['example.com/x', 'mine'] })).toEqual([
      'metadata.finalizers[1]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
    ]);
    expect(of({ finalizers: ['orphan', 'foregroundDeletion'] })[0]).toMatch('cannot be both set');
  });
});

describe('updates', () => {
  test('what the server gave stays', () => {
    const before = { uid: 'u', creationTimestamp: '2026-01-01T00:00:00Z', generation: 3 };
    expect(of(before, before)).toEqual([]);
    // Left out is unchanged.
    expect(of({}, before)).toEqual([]);
    expect(of({ ...before, uid: 'x' }, before)).toEqual(['metadata.uid: Invalid value: "x": field is immutable']);
    expect(of({ name: 'b' }, {})).toEqual(['metadata.name: Invalid value: "b": field is immutable']);
    expect(of({ ...before, generation: 2 }, before)).toEqual([
      'metadata.generation: Invalid value: 2: must not be decremented',
    ]);
  });
  test('on its way out, an object takes no new finalizers', () => {
    const before = { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['a.b/c'] };
    expect(of({ ...before, finalizers: [] }, before)).toEqual([]);
    expect(of({ ...before, finalizers: ['a.b/c', 'a.b/d'] }, before)).toEqual([
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/d"}',
    ]);
  });
});
