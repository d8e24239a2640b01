/** create with every typed sub-command, run and expose: JSON bodies up to kubectl 1.31, protobuf from 1.32 on. */
import { execFileSync } from 'node:child_process';
import { chmod, readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { type Chapter, script, type Tour, type Words } from '../tour.js';

/** Creates, checks what kubectl said, and reads what was stored. */
async function creates(tour: Tour, words: Words, reference: string, stored: object): Promise<void> {
  const list = typeof words === 'string' ? words.split(' ') : words;
  expect(await tour.ok(['create', ...list])).toBe(`${reference} created\n`);
  expect(await tour.json(['get', reference])).toMatchObject(stored);
}

const rule = (verbs: string[], resources: string[], apiGroups = ['']) => ({ verbs, apiGroups, resources });

const typed: readonly [title: string, words: Words, reference: string, stored: object][] = [
  [
    'configmap',
    'configmap words --from-literal=a=b --from-literal=empty=',
    'configmap/words',
    { data: { a: 'b', empty: '' } },
  ],
  [
    'secret generic',
    ['secret', 'generic', 'keys', '--from-literal=key=väl ue'],
    'secret/keys',
    { type: 'Opaque', data: { key: Buffer.from('väl ue').toString('base64') } },
  ],
  [
    'secret docker-registry',
    'secret docker-registry pull --docker-server=registry.test --docker-username=u --docker-password=p',
    'secret/pull',
    { type: 'kubernetes.io/dockerconfigjson' },
  ],
  ['serviceaccount', 'serviceaccount robot', 'serviceaccount/robot', { metadata: { name: 'robot' } }],
  [
    'deployment',
    'deployment web --image=orbitkit/echo:1 --replicas=0 --port=8080',
    'deployment.apps/web',
    { spec: { replicas: 0, template: { spec: { containers: [{ name: 'echo', ports: [{ containerPort: 8080 }] }] } } } },
  ],
  [
    'job',
    ['job', 'once', '--image=busybox', '--', 'sh', '-c', 'echo done'],
    'job.batch/once',
    {
      spec: {
        completions: 1,
        template: { spec: { restartPolicy: 'Never', containers: [{ command: ['sh', '-c', 'echo done'] }] } },
      },
    },
  ],
  [
    'cronjob',
    ['cronjob', 'nightly', '--image=busybox', '--schedule=0 3 * * *', '--', 'true'],
    'cronjob.batch/nightly',
    { spec: { schedule: '0 3 * * *', concurrencyPolicy: 'Allow', jobTemplate: { spec: {} } } },
  ],
  [
    'job from a cronjob',
    'job by-hand --from=cronjob/nightly',
    'job.batch/by-hand',
    { metadata: { annotations: { 'cronjob.kubernetes.io/instantiate': 'manual' } } },
  ],
  [
    'service clusterip',
    'service clusterip inner --tcp=80:8080',
    'service/inner',
    { spec: { type: 'ClusterIP', ports: [{ port: 80, targetPort: 8080 }] } },
  ],
  ['service nodeport', 'service nodeport outer --tcp=80', 'service/outer', { spec: { type: 'NodePort' } }],
  ['service loadbalancer', 'service loadbalancer front --tcp=80', 'service/front', { spec: { type: 'LoadBalancer' } }],
  [
    'service externalname',
    'service externalname alias --external-name=example.test',
    'service/alias',
    { spec: { type: 'ExternalName', externalName: 'example.test' } },
  ],
  [
    'ingress',
    ['ingress', 'door', '--class=other', '--rule=example.test/path*=inner:80,tls=secret'],
    'ingress.networking.k8s.io/door',
    { spec: { ingressClassName: 'other', tls: [{ secretName: 'secret' }], rules: [{ host: 'example.test' }] } },
  ],
  [
    'quota',
    'quota limits --hard=pods=50,secrets=50',
    'resourcequota/limits',
    { spec: { hard: { pods: '50', secrets: '50' } } },
  ],
  [
    'role',
    'role reader --verb=get,list --resource=pods,pods/log',
    'role.rbac.authorization.k8s.io/reader',
    { rules: [rule(['get', 'list'], ['pods', 'pods/log'])] },
  ],
  [
    'rolebinding',
    ['rolebinding', 'readers', '--role=reader', '--user=ann', '--serviceaccount=create:robot'],
    'rolebinding.rbac.authorization.k8s.io/readers',
    {
      roleRef: { kind: 'Role', name: 'reader' },
      subjects: [
        { kind: 'User', name: 'ann' },
        { kind: 'ServiceAccount', name: 'robot' },
      ],
    },
  ],
  [
    'poddisruptionbudget',
    'poddisruptionbudget keep --selector=app=web --min-available=50%',
    'poddisruptionbudget.policy/keep',
    { spec: { minAvailable: '50%', selector: { matchLabels: { app: 'web' } } } },
  ],
];

export const create: Chapter = {
  name: 'create',
  steps: [
    {
      title: 'namespace',
      run: async tour => {
        expect(await tour.ok('create namespace create-other')).toBe('namespace/create-other created\n');
        expect((await tour.json('get ns create-other')).status.phase).toBe('Active');
        await tour.refused('create namespace create-other', 'namespaces "create-other" already exists');
        await tour.ok('delete ns create-other --wait=false');
      },
    },
    ...typed.map(([title, words, reference, stored]) => ({
      title,
      run: (tour: Tour) => creates(tour, words, reference, stored),
    })),
    {
      title: 'secret tls',
      run: async tour => {
        const [crt, key] = [await tour.file('pair.crt', ''), await tour.file('pair.key', '')];
        const pair = ['-keyout', key, '-out', crt, '-subj', '/CN=example.test', '-days', '2'];
        execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...pair], { stdio: 'ignore' });
        await chmod(key, 0o644);
        await creates(tour, ['secret', 'tls', 'cert', `--cert=${crt}`, `--key=${key}`], 'secret/cert', {
          type: 'kubernetes.io/tls',
          data: {
            'tls.crt': (await readFile(crt)).toString('base64'),
            'tls.key': (await readFile(key)).toString('base64'),
          },
        });
        const certificate = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';
        const file = await tour.file('tls.crt', certificate);
        // kubectl checks the pair itself before it asks anybody.
        await tour.refused(
          ['create', 'secret', 'tls', 'none', `--cert=${file}`, `--key=${file}`],
          /tls|x509|certificate|asn1/,
        );
      },
    },
    {
      title: 'clusterrole, clusterrolebinding, priorityclass',
      run: async tour => {
        const names = ['clusterrole/tour-reader', 'clusterrolebinding/tour-readers', 'priorityclass/tour-high'];
        await tour.ok(['delete', ...names, '--ignore-not-found']);
        await creates(
          tour,
          'clusterrole tour-reader --verb=get --resource=nodes',
          'clusterrole.rbac.authorization.k8s.io/tour-reader',
          {
            rules: [rule(['get'], ['nodes'])],
          },
        );
        await creates(
          tour,
          'clusterrolebinding tour-readers --clusterrole=tour-reader --group=readers',
          'clusterrolebinding.rbac.authorization.k8s.io/tour-readers',
          { subjects: [{ kind: 'Group', name: 'readers' }] },
        );
        await creates(
          tour,
          ['priorityclass', 'tour-high', '--value=1000', '--description=first'],
          'priorityclass.scheduling.k8s.io/tour-high',
          {
            value: 1000,
            description: 'first',
          },
        );
        expect(await tour.ok(['delete', ...names])).toMatch(/tour-reader.*deleted[\s\S]*tour-high.*deleted/);
      },
    },
    {
      title: '--dry-run=server and =client, -o yaml, --save-config, --edit',
      run: async tour => {
        expect(await tour.ok('create cm ghost --from-literal=a=b --dry-run=server')).toBe(
          'configmap/ghost created (server dry run)\n',
        );
        expect(JSON.parse(await tour.ok('create cm ghost --dry-run=server -o json')).metadata.uid).toBeTypeOf('string');
        expect(await tour.ok('create cm ghost --dry-run=client -o yaml')).toMatch(/kind: ConfigMap/);
        await tour.refused('get cm ghost', 'NotFound');
        await tour.ok('create cm saved --from-literal=a=b --save-config');
        expect(await tour.ok('apply view-last-applied cm saved -o json')).toContain('"a": "b"');
        const editor = await tour.file('editor.sh', '#!/bin/sh\nsed -i "s/one/two/" "$1"\n', 0o755);
        const file = await tour.file(
          'edited.yaml',
          'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: edited\ndata:\n  x: one\n',
        );
        expect(await tour.ok(['create', '-f', file, '--edit'], { env: { EDITOR: editor } })).toContain(
          'configmap/edited created',
        );
        expect((await tour.json('get cm edited')).data).toEqual({ x: 'two' });
      },
    },
    {
      title: 'validation by the server',
      run: async tour => {
        const wrong = await tour.file('wrong.yaml', {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'w' },
          dataa: {},
        });
        await tour.refused(['create', '-f', wrong], /strict decoding error: unknown field "dataa"/);
        const warned = await tour.kubectl(['create', '-f', wrong, '--validate=warn']);
        expect([warned.code, warned.err]).toEqual([0, expect.stringContaining('Warning: unknown field "dataa"')]);
        await tour.ok('delete cm w');
        expect(await tour.ok(['create', '-f', wrong, '--validate=ignore'])).toBe('configmap/w created\n');
      },
    },
    {
      title: 'run and expose',
      run: async tour => {
        expect(await tour.ok('run lone --image=orbitkit/echo:1 --port=8080 --labels=app=lone')).toBe(
          'pod/lone created\n',
        );
        expect(await tour.ok('expose pod lone --port=80 --target-port=8080')).toBe('service/lone exposed\n');
        expect(await tour.ok('expose deployment web --name=web-two --port=8080')).toBe('service/web-two exposed\n');
        expect((await tour.json('get svc lone')).spec).toMatchObject({
          selector: { app: 'lone' },
          ports: [{ port: 80, targetPort: 8080 }],
        });
        expect(await tour.ok('wait pod/lone --for=condition=Ready --timeout=25s')).toBe('pod/lone condition met\n');
        const once = await tour.kubectl([
          'run',
          'said',
          '--image=busybox',
          '--restart=Never',
          '--rm',
          '--attach',
          '--',
          'sh',
          '-c',
          'sleep 1; echo said',
        ]);
        expect([once.code, once.out]).toEqual([0, expect.stringContaining('said')]);
        await tour.ok('delete pod lone --now --wait=false');
      },
    },
    {
      title: 'generateName',
      run: async tour => {
        const file = await tour.file('generated.yaml', { ...script('x', 'true'), metadata: { generateName: 'made-' } });
        expect(await tour.ok(['create', '-f', file])).toMatch(/^pod\/made-[bcdfghjklmnpqrstvwxz2456789]{5} created\n$/);
      },
    },
  ],
};
