import type { corev1 } from '@orbitkit/core';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdmissionServer, admissionServer, podOf } from '../admission-fixture.js';
import { type Level, minorOf, textOf, violationsOf } from './checks.js';
import { type PodSecurityOptions, podSecurity } from './pod-security.js';

/** What `restricted` lets pass. */
const good = (): any => ({
  spec: {
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      { name: 'c', image: 'i', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
    ],
  },
});
const withContainer = (securityContext: object, more: object = {}): any => {
  const pod = good();
  const [container] = pod.spec.containers;
  Object.assign(container, more);
  Object.assign(container.securityContext, securityContext);
  return pod;
};
const withSpec = (spec: object): any => ({ spec: { ...good().spec, ...spec } });
const withPod = (securityContext: object): any => {
  const pod = good();
  Object.assign(pod.spec.securityContext, securityContext);
  return pod;
};
const judged = (level: Level, pod: corev1.Pod, version = 'latest'): string =>
  textOf(violationsOf(level, pod, minorOf(version)));

describe('the standards', () => {
  it('let everything come where nothing is demanded, and what is restricted everywhere', () => {
    expect(judged('privileged', withContainer({ privileged: true }))).toBe('');
    for (const level of ['baseline', 'restricted'] as const) expect(judged(level, good())).toBe('');
    expect(judged('baseline', { spec: { containers: [{ name: 'c', image: 'i' }] } } as never)).toBe('');
  });

  it.each<[string, any, string]>([
    [
      'a privileged container',
      withContainer({ privileged: true }),
      'privileged (container "c" must not set securityContext.privileged=true)',
    ],
    [
      'namespaces of the host',
      withSpec({ hostNetwork: true, hostPID: true }),
      'host namespaces (hostNetwork=true, hostPID=true)',
    ],
    [
      'ports of the host',
      withContainer({}, { ports: [{ containerPort: 8, hostPort: 80 }] }),
      'hostPort (container "c" uses hostPort 80)',
    ],
    [
      'procMount',
      withContainer({ procMount: 'Unmasked' }),
      'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
    ],
    [
      'SELinux types',
      withPod({ seLinuxOptions: { type: 'spc_t', user: 'u' } }),
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set)',
    ],
    [
      'sysctls',
      withPod({
        sysctls: [
          { name: 'kernel.msgmax', value: '1' },
          { name: 'net.ipv4.tcp_syncookies', value: '1' },
        ],
      }),
      'forbidden sysctls (kernel.msgmax)',
    ],
    [
      'processes of the host',
      withContainer({ windowsOptions: { hostProcess: true } }),
      'hostProcess (container "c" must not set securityContext.windowsOptions.hostProcess=true)',
    ],
    [
      'AppArmor',
      withPod({ appArmorProfile: { type: 'Unconfined' } }),
      'forbidden AppArmor profiles (pod must not set AppArmor profile type to "Unconfined")',
    ],
  ])('baseline and restricted refuse %s', (_name, pod, text) => {
    expect(judged('baseline', pod)).toBe(text);
    expect(judged('restricted', pod)).toBe(text);
  });

  it.each<[string, any, string, string]>([
    [
      'capabilities',
      withContainer({ capabilities: { drop: ['ALL'], add: ['SYS_ADMIN', 'CHOWN'] } }),
      'non-default capabilities (container "c" must not include "SYS_ADMIN" in securityContext.capabilities.add)',
      'unrestricted capabilities (container "c" must not include "CHOWN", "SYS_ADMIN" in securityContext.capabilities.add)',
    ],
    [
      'paths of the host',
      withSpec({ volumes: [{ name: 'v', hostPath: { path: '/' } }] }),
      'hostPath volumes (volume "v")',
      'restricted volume types (volume "v" uses restricted volume type "hostPath")',
    ],
    [
      'seccomp off',
      withPod({ seccompProfile: { type: 'Unconfined' } }),
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
      'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
    ],
    [
      'network volumes',
      withSpec({
        volumes: [
          { name: 'v', nfs: {} },
          { name: 's', secret: {} },
        ],
      }),
      '',
      'restricted volume types (volume "v" uses restricted volume type "nfs")',
    ],
    ['root', withPod({ runAsUser: 0 }), '', 'runAsUser=0 (pod must not set runAsUser=0)'],
    [
      'runAsNonRoot=false',
      withContainer({ runAsNonRoot: false }),
      '',
      'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
    ],
  ])('each level in its own words: %s', (_name, pod, ofBaseline, ofRestricted) => {
    expect(judged('baseline', pod)).toBe(ofBaseline);
    expect(judged('restricted', pod)).toBe(ofRestricted);
  });

  it('say all that a plain pod lacks', () => {
    const spec = { containers: [{ name: 'a', image: 'i' }], initContainers: [{ name: 'b', image: 'i' }] };
    expect(judged('restricted', { spec } as never)).toBe(
      [
        'allowPrivilegeEscalation != false (containers "b", "a" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (containers "b", "a" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or containers "b", "a" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or containers "b", "a" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
      ].join(', '),
    );
  });

  it('ask of Windows what Windows has', () => {
    const pod = {
      spec: {
        os: { name: 'windows' },
        securityContext: { runAsNonRoot: true },
        containers: [{ name: 'c', image: 'i' }],
      },
    };
    expect(judged('restricted', pod as never)).toBe('');
  });
});

describe('the rules of a version', () => {
  const plain = { spec: { containers: [{ name: 'c', image: 'i' }] } } as never;
  const sysctl = (name: string) => withPod({ sysctls: [{ name, value: '1' }] });
  const annotated = (value: string) => ({
    ...good(),
    metadata: { annotations: { 'container.seccomp.security.alpha.kubernetes.io/c': value } },
  });

  it.each<[string, Level, any, string, string, string]>([
    ['tcp_rmem', 'baseline', sysctl('net.ipv4.tcp_rmem'), 'v1.31', 'v1.32', 'forbidden sysctls (net.ipv4.tcp_rmem)'],
    [
      'tcp_fin_timeout',
      'baseline',
      sysctl('net.ipv4.tcp_fin_timeout'),
      'v1.28',
      'v1.29',
      'forbidden sysctls (net.ipv4.tcp_fin_timeout)',
    ],
    [
      'reserved ports',
      'baseline',
      sysctl('net.ipv4.ip_local_reserved_ports'),
      'v1.26',
      'v1.27',
      'forbidden sysctls (net.ipv4.ip_local_reserved_ports)',
    ],
    [
      'container_engine_t',
      'baseline',
      withPod({ seLinuxOptions: { type: 'container_engine_t' } }),
      'v1.30',
      'v1.31',
      'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
    ],
    [
      'seccomp by annotation',
      'baseline',
      annotated('unconfined'),
      'v1.18',
      'v1.19',
      'seccompProfile (forbidden annotation container.seccomp.security.alpha.kubernetes.io/c="unconfined")',
    ],
    [
      'what Windows lacks',
      'restricted',
      { spec: { ...good().spec, os: { name: 'windows' }, containers: [{ name: 'c', image: 'i' }] } },
      'v1.24',
      'v1.25',
      'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
    ],
  ])('%s', (_name, level, pod, strict, open, problem) => {
    expect(judged(level, pod, strict)).toBe(problem);
    expect(judged(level, pod, open)).toBe('');
    expect(judged(level, pod)).toBe('');
  });

  it('are fewer in older versions, and those of baseline stand where there was no stricter one', () => {
    expect(judged('restricted', withPod({ runAsUser: 0 }), 'v1.22')).toBe('');
    expect(judged('restricted', withPod({ runAsUser: 0 }), 'v1.23')).toContain('runAsUser=0');
    const adding = withContainer({ capabilities: { add: ['SYS_ADMIN'] } });
    expect(judged('restricted', adding, 'v1.21')).toContain('non-default capabilities');
    expect(judged('restricted', adding, 'v1.22')).toContain('unrestricted capabilities');
    expect(judged('restricted', plain, 'v1.7')).not.toContain('allowPrivilegeEscalation');
    expect(judged('restricted', plain, 'v1.18')).not.toContain('seccompProfile');
    expect(judged('restricted', plain, 'v1.99')).toBe(judged('restricted', plain));
  });
});

describe('a namespace', () => {
  let server: AdmissionServer;
  afterEach(() => server?.stop());
  const start = async (labels: object, options?: PodSecurityOptions) => {
    server = await admissionServer(podSecurity(options));
    const made = await server.post('/api/v1/namespaces', {
      metadata: {
        name: 'team',
        labels: Object.fromEntries(
          Object.entries(labels).map(([mode, level]) => [`pod-security.kubernetes.io/${mode}`, level]),
        ),
      },
    });
    return made;
  };
  const pods = '/api/v1/namespaces/team/pods';
  const privileged = (name: string) => podOf(name, undefined, { hostNetwork: true });

  it('refuses by enforce, and warns by warn', async () => {
    await start({ enforce: 'baseline', warn: 'restricted', 'warn-version': 'v1.30' });
    expect(await server.post(pods, privileged('a'))).toMatchObject({
      status: 403,
      body: {
        message: 'pods "a" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
      },
    });
    const plain = await server.post(pods, podOf('b'));
    expect(plain.status).toBe(201);
    expect(plain.headers['warning']).toContain(
      'would violate PodSecurity \\"restricted:v1.30\\": allowPrivilegeEscalation != false',
    );
  });

  it('is judged by the version that it pins', async () => {
    await start({ enforce: 'baseline', 'enforce-version': 'v1.31' });
    const sysctls = [{ name: 'net.ipv4.tcp_rmem', value: '4096 87380 6291456' }];
    const pod = (name: string) => podOf(name, undefined, { securityContext: { sysctls } });
    expect((await server.post(pods, pod('a'))).body.message).toContain(
      'violates PodSecurity "baseline:v1.31": forbidden sysctls (net.ipv4.tcp_rmem)',
    );
    await server.send('PATCH', '/api/v1/namespaces/team', {
      metadata: { labels: { 'pod-security.kubernetes.io/enforce-version': 'v1.32' } },
    });
    expect((await server.post(pods, pod('a'))).status).toBe(201);
  });

  it('warns the author of a workload, and lets it be', async () => {
    await start({ enforce: 'baseline', warn: 'baseline' });
    const workload = {
      metadata: { name: 'w' },
      spec: {
        selector: { matchLabels: { a: 'b' } },
        template: { metadata: { labels: { a: 'b' } }, spec: privileged('x').spec },
      },
    };
    const made = await server.post('/apis/apps/v1/namespaces/team/deployments', workload);
    expect(made.status).toBe(201);
    expect(made.headers['warning']).toContain('would violate PodSecurity \\"baseline:latest\\": host namespaces');
  });

  it('refuses labels that it cannot read', async () => {
    const made = await start({ enforce: 'strict', 'audit-version': '1.30' });
    expect(made.status).toBe(422);
    expect(made.body.message).toBe(
      'Namespace "team" is invalid: [metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted, ' +
        'metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.30": must be "latest" or "v1.x"]',
    );
  });

  it('that becomes stricter says whom it would not let in any more, and lets them be', async () => {
    await start({});
    for (const name of ['a', 'b']) expect((await server.post(pods, privileged(name))).status).toBe(201);
    const patched = await server.send('PATCH', '/api/v1/namespaces/team', {
      metadata: { labels: { 'pod-security.kubernetes.io/enforce': 'baseline' } },
    });
    expect(patched.status).toBe(200);
    const { warning } = (patched as { headers?: Record<string, string> }).headers ?? {};
    expect(warning).toContain(
      'existing pods in namespace \\"team\\" violate the new PodSecurity enforce level \\"baseline:latest\\"',
    );
    expect(warning).toContain('a (and 1 other pod): host namespaces');
    const labelled = { metadata: { labels: { x: 'y' } } };
    expect((await server.send('PATCH', `${pods}/a`, labelled)).status).toBe(200);
    const image = { spec: { containers: [{ name: 'c', image: 'j' }] } };
    expect((await server.send('PATCH', `${pods}/a`, image)).status).toBe(403);
  });

  it('without labels has the defaults; the exempt are not judged', async () => {
    await start({}, { defaults: { enforce: 'baseline' }, exempt: { namespaces: ['default'] } });
    expect((await server.post(pods, privileged('a'))).status).toBe(403);
    expect((await server.post('/api/v1/namespaces/default/pods', privileged('a'))).status).toBe(201);
  });
});
