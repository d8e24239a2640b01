import { builtinKinds, type Kind, kindRegistry } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import { fieldSelectorFor, selectableFieldsOf } from './field-selectors.js';
import { resourceIdOf } from './storage-keys.js';

/** What kube-apiserver 1.33 offers beside name and namespace. */
const offered: Readonly<Record<string, readonly string[]>> = {
  'core/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.podIPs',
    'status.nominatedNodeName',
  ],
  'core/nodes': ['spec.unschedulable'],
  'core/namespaces': ['status.phase'],
  'core/replicationcontrollers': ['status.replicas'],
  'apps/replicasets': ['status.replicas'],
  'core/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  'core/secrets': ['type'],
  'batch/jobs': ['status.successful'],
  'certificates.k8s.io/certificatesigningrequests': ['spec.signerName'],
};
const stored = builtinKinds.filter(kind => !kind.virtual && !kind.storage) as unknown as Kind<any>[];

describe('by what objects can be selected', () => {
  it.each(stored.map(kind => [resourceIdOf(kind)] as const))('%s', id => {
    expect([...selectableFieldsOf(id).extra].sort()).toEqual([...(offered[id] ?? [])].sort());
    expect(() => fieldSelectorFor(selectableFieldsOf(id), 'metadata.name=a,metadata.namespace!=b')).not.toThrow();
    expect(() => fieldSelectorFor(selectableFieldsOf(id), 'data.a=1')).toThrow(
      offered[id] ? /field label not supported: data.a/ : '"data.a" is not a known field selector',
    );
  });
});

it.each<[string, object, Record<string, string>]>([
  [
    '/v1/pods',
    { spec: {}, status: { podIPs: [{ ip: '1' }, { ip: '2' }] } },
    { 'spec.hostNetwork': 'false', 'status.podIPs': '1,2', 'spec.nodeName': '' },
  ],
  ['/v1/nodes', { spec: { unschedulable: true } }, { 'spec.unschedulable': 'true' }],
  ['/v1/replicationcontrollers', { spec: {} }, { 'status.replicas': '0' }],
  ['batch/v1/jobs', { spec: {}, status: { succeeded: 3 } }, { 'status.successful': '3' }],
  ['certificates.k8s.io/v1/certificatesigningrequests', { spec: { signerName: 's' } }, { 'spec.signerName': 's' }],
  ['/v1/events', { reportingComponent: 'r' }, { source: 'r', reportingComponent: 'r', reason: '' }],
])('values of %s', (path, object, fields) => {
  const [group, version, plural] = path.split('/') as [string, string, string];
  const kind = kindRegistry(builtinKinds).byResource(group, version, plural)!;
  const values = selectableFieldsOf(resourceIdOf(kind)).of({
    metadata: { name: 'x', namespace: 'ns' },
    ...object,
  } as any);
  expect(values).toMatchObject({ 'metadata.name': 'x', 'metadata.namespace': 'ns', ...fields });
});
