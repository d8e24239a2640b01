import { describe, expect, it } from 'vitest';
import { legalName } from './names.js';
import { type Translated, translate } from './translate.js';

function objectOf(document: unknown): Extract<Translated, { outcome: 'object' }> {
  const result = translate(document);
  if (result.outcome !== 'object') throw new Error(`expected an object, it waits: ${result.reason}`);
  return result;
}
const pod = (spec: object, metadata: object = { name: 'p' }) => ({ apiVersion: 'v1', kind: 'Pod', metadata, spec });

describe('translate', () => {
  it('leaves a manifest of today as it is, without a warning', () => {
    const manifest = pod({ containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80, hostPort: 80 }] }] });
    expect(objectOf(manifest)).toEqual({ outcome: 'object', object: manifest, warnings: [] });
  });

  it('does not change its input', () => {
    const manifest = pod({ restartPolicy: 'RestartOnFailure', containers: [] }, { name: 'My_Pod' });
    const before = JSON.stringify(manifest);
    translate(manifest);
    expect(JSON.stringify(manifest)).toBe(before);
  });

  it('reads the old policies', () => {
    const { object, warnings } = objectOf(
      pod({
        restartPolicy: 'RestartOnFailure',
        containers: [{ name: 'c', image: 'i', imagePullPolicy: 'PullIfNotPresent' }],
      }),
    );
    expect(object.spec.restartPolicy).toBe('OnFailure');
    expect(object.spec.containers[0].imagePullPolicy).toBe('IfNotPresent');
    expect(warnings).toHaveLength(2);
  });

  it('joins split ports, drops targetPort and keeps metrics as annotations', () => {
    const { object } = objectOf(
      pod({
        containers: [
          {
            name: 'c',
            image: 'i',
            ports: [
              { containerPort: 3000, metrics: 'x' },
              { hostPort: 3001 },
              { containerPort: 8000, targetPort: 8000 },
            ],
          },
        ],
      }),
    );
    expect(object.spec.containers[0].ports).toEqual([{ containerPort: 3000, hostPort: 3001 }, { containerPort: 8000 }]);
    expect(object.metadata.annotations).toEqual({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '3000' });
  });

  it('reads flat resources as limits and request as requests', () => {
    const { object } = objectOf(
      pod({
        containers: [
          { name: 'a', image: 'i', resources: { cpu: '1', memory: '1Gi' } },
          { name: 'b', image: 'i', resources: { request: { cpu: '100m' }, limits: { cpu: '1' } } },
        ],
      }),
    );
    expect(object.spec.containers[0].resources).toEqual({ limits: { cpu: '1', memory: '1Gi' } });
    expect(object.spec.containers[1].resources).toEqual({ requests: { cpu: '100m' }, limits: { cpu: '1' } });
  });

  it('turns mounts and undeclared volumes into volumes of the pod', () => {
    const { object } = objectOf(
      pod({
        containers: [
          { name: 'a', image: 'i', mounts: [{ hostPath: '/h', containerPath: '/c', readOnly: true }] },
          { name: 'b', image: 'i', volumeMounts: [{ name: 'share', mountPath: '/s' }] },
        ],
      }),
    );
    expect(object.spec.volumes).toEqual([
      { name: 'mount-0', hostPath: { path: '/h', type: 'Directory' } },
      { name: 'share', emptyDir: {} },
    ]);
    expect(object.spec.containers[0].volumeMounts).toEqual([{ name: 'mount-0', mountPath: '/c', readOnly: true }]);
  });

  it('reads numbers in env as text and fills in the topology key', () => {
    const { object } = objectOf(
      pod({
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [{ labelSelector: { matchLabels: { a: 'b' } } }],
          },
        },
        containers: [{ name: 'a', image: 'i', env: [{ name: 'N', value: 7 }] }],
      }),
    );
    expect(object.spec.containers[0].env).toEqual([{ name: 'N', value: '7' }]);
    expect(object.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey).toBe(
      'kubernetes.io/hostname',
    );
  });

  it('reads a replica set of v1 with a flat selector and a template of another namespace', () => {
    const { object, warnings } = objectOf({
      apiVersion: 'v1',
      kind: 'ReplicaSet',
      metadata: { name: 'replica' },
      spec: {
        replicas: 3,
        selector: { app: 'x' },
        template: { metadata: { name: 'n', namespace: 'elsewhere', labels: { app: 'x' } }, spec: { containers: [] } },
      },
    });
    expect(object.apiVersion).toBe('apps/v1');
    expect(object.spec.selector).toEqual({ matchLabels: { app: 'x' } });
    expect(object.spec.template.metadata).toEqual({ labels: { app: 'x' } });
    expect(warnings).toHaveLength(4);
  });

  it('rewrites names that Kubernetes refuses', () => {
    expect(['dns_nginx', 'myservice-clusterIP', 'ok', '9lives', '___'].map(legalName)).toEqual([
      'dns-nginx',
      'myservice-clusterip',
      'ok',
      'lives',
      'unnamed',
    ]);
    const { object, warnings } = objectOf({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'replicaService-clusterIP' },
      spec: { ports: [{ port: 1, name: 'replicaService' }] },
    });
    expect(object.metadata.name).toBe('replicaservice-clusterip');
    expect(object.spec.ports[0].name).toBe('replicaservice');
    expect(warnings[0]).toBe(
      'metadata.name "replicaService-clusterIP" is no legal name; it was rewritten to "replicaservice-clusterip"',
    );
  });

  it('moves a name at the top level, and says what waits and why', () => {
    expect(translate({ apiVersion: 'v1', kind: 'DNS', name: 'dns-test', spec: {} })).toEqual({
      outcome: 'waits',
      what: 'DNS dns-test',
      reason: 'DNS routes are not served yet',
    });
    expect(translate({ image: 'i', name: 'add', functionFile: 'add.py' })).toMatchObject({
      outcome: 'waits',
      what: 'function add',
    });
    expect(translate({ type: 'time', params: '10s', name: 'add', args: 10 })).toMatchObject({ outcome: 'waits' });
  });

  it('reads volumes and claims, into the class that finds and makes them', () => {
    const claim = { kind: 'PersistentVolumeClaim', apiVersion: 'v1', metadata: { name: 'pvc' } };
    expect(objectOf({ ...claim, spec: { resources: '8Gi' } })).toMatchObject({
      object: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '8Gi' } } } },
      warnings: [
        'spec.resources was read as spec.resources.requests.storage',
        'spec.accessModes is missing; ReadWriteOnce was taken',
      ],
    });
    const remote = { serverIP: '127.0.0.1', path: '/' };
    const volume = { kind: 'PersistentVolume', apiVersion: 'v1', metadata: { name: 'pv', namespace: 'default' } };
    const { object, warnings } = objectOf({
      ...volume,
      spec: { capacity: '5Gi', accessModes: ['ReadWriteMany'], reclaimPolicy: 'Recycle', remote },
    });
    expect(object.metadata).toEqual({ name: 'pv' });
    expect(object.spec).toEqual({
      capacity: { storage: '5Gi' },
      accessModes: ['ReadWriteMany'],
      persistentVolumeReclaimPolicy: 'Retain',
      nfs: { server: '127.0.0.1', path: '/' },
      storageClassName: 'local-path',
    });
    expect(warnings).toHaveLength(5);
  });

  it('refuses what is no manifest at all', () => {
    expect(() => translate('text')).toThrow('a manifest is a mapping');
    expect(() => translate({ name: 'x' })).toThrow('kind is missing');
  });

  it('drops what another cluster gave to an object that was read from it, its owners too', () => {
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u1' };
    const { object, warnings } = objectOf(
      pod(
        { containers: [] },
        { name: 'p', uid: 'u2', resourceVersion: '7', ownerReferences: [owner], labels: { a: 'b' } },
      ),
    );
    expect(object.metadata).toEqual({ name: 'p', labels: { a: 'b' } });
    expect(warnings).toHaveLength(3);
    const kept = objectOf(pod({ containers: [] }, { name: 'p', ownerReferences: [owner] }));
    expect(kept.object.metadata['ownerReferences']).toEqual([owner]);
  });

  it('keeps the address of an old node manifest as an annotation', () => {
    const { object } = objectOf({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'w1' },
      spec: { address: '127.0.0.1' },
    });
    expect(object.spec).toEqual({});
    expect(object.metadata.annotations).toEqual({ 'minik8s.orbitkit.dev/address': '127.0.0.1' });
  });
});
