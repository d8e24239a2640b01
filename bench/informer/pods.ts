/** The pods of the informer benchmark: as large as a real one is in a list (2.9 KB, a quarter of it managedFields). */
export const firstVersion = 1_000_000;

const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0');

/** Its JSON text. `version` above its first one means that it was changed. */
export function podText(index: number, version: number): string {
  const suffix = `${hex((index * 2_654_435_761) % 2 ** 32, 8)}-${hex(index, 5)}`;
  const name = `web-${suffix}`;
  const namespace = `team-${index % 100}`;
  const uid = `${hex(index, 8)}-7b1e-4c4a-9f2e-${hex(index * 7_919, 12)}`;
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `web-${hex(index >> 3, 8)}`, uid, controller: true };
  const at = '2026-11-01T08:00:00Z';
  const ip = `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`;
  const condition = (type: string) => ({ type, status: 'True', lastProbeTime: null, lastTransitionTime: at });
  const probe = { httpGet: { path: '/healthz', port: 8080, scheme: 'HTTP' }, periodSeconds: 10, timeoutSeconds: 1 };
  return JSON.stringify({
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: {
      name,
      generateName: `web-${hex(index >> 3, 8)}-`,
      namespace,
      uid,
      resourceVersion: String(version),
      creationTimestamp: at,
      labels: { app: 'web', 'pod-template-hash': hex(index >> 3, 8), tier: 'frontend' },
      annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '8080' },
      ownerReferences: [{ ...owner, blockOwnerDeletion: true }],
      managedFields: [
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          apiVersion: 'v1',
          time: at,
          fieldsType: 'FieldsV1',
          fieldsV1: {
            'f:metadata': { 'f:generateName': {}, 'f:labels': { '.': {}, 'f:app': {}, 'f:pod-template-hash': {} } },
            'f:spec': {
              'f:containers': {
                'k:{"name":"web"}': { '.': {}, 'f:image': {}, 'f:name': {}, 'f:ports': {}, 'f:resources': {} },
              },
              'f:dnsPolicy': {},
              'f:restartPolicy': {},
            },
          },
        },
      ],
    },
    spec: {
      volumes: [
        {
          name: 'kube-api-access-x7k2p',
          projected: {
            sources: [
              { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
              { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
            ],
            defaultMode: 420,
          },
        },
      ],
      containers: [
        {
          name: 'web',
          image: 'registry.example.com/team/web:1.27.3',
          ports: [{ containerPort: 8080, protocol: 'TCP' }],
          env: [{ name: 'NODE_ENV', value: 'production' }],
          resources: { limits: { cpu: '500m', memory: '256Mi' }, requests: { cpu: '100m', memory: '128Mi' } },
          volumeMounts: [{ name: 'kube-api-access-x7k2p', readOnly: true, mountPath: '/var/run/secrets/token' }],
          livenessProbe: { ...probe, failureThreshold: 3 },
          readinessProbe: probe,
          terminationMessagePath: '/dev/termination-log',
          imagePullPolicy: 'IfNotPresent',
        },
      ],
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: 30,
      dnsPolicy: 'ClusterFirst',
      serviceAccountName: 'default',
      nodeName: `node-${index % 500}`,
      schedulerName: 'default-scheduler',
      tolerations: [
        { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      ],
    },
    status: {
      phase: 'Running',
      conditions: ['Initialized', 'Ready', 'ContainersReady', 'PodScheduled'].map(condition),
      hostIP: '192.168.0.7',
      podIP: ip,
      podIPs: [{ ip }],
      startTime: at,
      containerStatuses: [
        {
          name: 'web',
          state: { running: { startedAt: at } },
          ready: true,
          restartCount: 0,
          image: 'registry.example.com/team/web:1.27.3',
          containerID: `containerd://${uid}`,
          started: true,
        },
      ],
      qosClass: 'Burstable',
    },
  });
}
