import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCluster, inClusterConfig } from './find-cluster.js';
import {
  kubeconfigContext,
  kubeconfigTransport,
  loadKubeconfig,
  parseKubeconfig,
  writeKubeconfig,
} from './kubeconfig.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbit-kubeconfig-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');
const config = `apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: local
  cluster:
    server: https://127.0.0.1:6443
    certificate-authority: pki/ca.pem
- name: far
  cluster:
    server: https://far.example
    certificate-authority-data: ${base64('PEM')}
    tls-server-name: inner
- name: proxied
  cluster: { server: "https://x.example", proxy-url: "http://proxy:3128" }
contexts:
- name: dev
  context: { cluster: local, user: me, namespace: team }
- name: prod
  context: { cluster: far, user: robot }
- name: cloud
  context: { cluster: far, user: plugin }
- name: behind
  context: { cluster: proxied, user: robot }
- name: broken
  context: { cluster: nowhere, user: me }
users:
- name: me
  user: { client-certificate: me.pem, client-key-data: ${base64('KEY')} }
- name: robot
  user: { token: abc, as: boss, as-groups: [a, b] }
- name: plugin
  user: { exec: { command: cloud-login, apiVersion: client.authentication.k8s.io/v1 } }
`;

describe('kubeconfig', () => {
  it('resolves the current context, with paths relative to the file', async () => {
    const path = join(folder, 'a', 'config');
    await mkdir(join(folder, 'a'));
    await writeFile(path, config);
    const loaded = await loadKubeconfig(path);
    expect(kubeconfigContext(loaded)).toEqual({
      name: 'dev',
      namespace: 'team',
      cluster: { server: 'https://127.0.0.1:6443', caFile: join(folder, 'a', 'pki', 'ca.pem') },
      user: { certFile: join(folder, 'a', 'me.pem'), key: 'KEY' },
    });
    expect(kubeconfigContext(loaded, 'prod')).toEqual({
      name: 'prod',
      namespace: 'default',
      cluster: { server: 'https://far.example', ca: 'PEM', tlsServerName: 'inner' },
      user: { token: 'abc', impersonate: { username: 'boss', groups: ['a', 'b'] } },
    });
  });

  it('merges files: the first that defines a name wins', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    await writeFile(one, 'users:\n- name: robot\n  user: { token: mine }\n');
    await writeFile(two, config);
    const merged = await loadKubeconfig([one, two]);
    expect(merged.currentContext).toBe('dev');
    expect(kubeconfigContext(merged, 'prod').user).toEqual({ token: 'mine' });
  });

  it('says what is missing, and what there is', async () => {
    const parsed = await parseKubeconfig(config);
    expect(() => kubeconfigContext(parsed, 'none')).toThrow(
      'the kubeconfig has no context "none" (there are: dev, prod, cloud, behind, broken)',
    );
    expect(() => kubeconfigContext(parsed, 'broken')).toThrow(
      'context "broken": the kubeconfig has no cluster "nowhere" with a server',
    );
    await expect(parseKubeconfig('kind: Pod', { file: 'pod.yaml' })).rejects.toThrow(
      'pod.yaml is not a kubeconfig: its kind is Pod',
    );
    await expect(parseKubeconfig('- a')).rejects.toThrow('not a mapping');
    await expect(parseKubeconfig('a: [', { file: 'x' })).rejects.toThrow('x is not YAML');
    await expect(loadKubeconfig(join(folder, 'absent'))).rejects.toThrow('cannot read the kubeconfig');
    const empty = await parseKubeconfig('');
    expect(() => kubeconfigContext(empty)).toThrow('no current context; choose one with --context (there are: none)');
  });

  it('refuses credentials that need a program, by name', async () => {
    const parsed = await parseKubeconfig(config);
    expect(() => kubeconfigTransport(parsed, { context: 'cloud' })).toThrow(
      'the exec plugin "cloud-login", which orbitkit does not run',
    );
    expect(() => kubeconfigTransport(parsed, { context: 'behind' })).toThrow('through the proxy http://proxy:3128');
  });

  it('is written for its owner alone, in one step, and read again', async () => {
    const path = join(folder, 'new', 'kubeconfig');
    const server = createServer((request, response) =>
      response.end(JSON.stringify({ token: request.headers.authorization })),
    );
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await writeKubeconfig(path, { name: 'orbit', server: 'https://old', token: 'x' });
      await chmod(path, 0o644);
      await writeKubeconfig(path, { name: 'orbit', server: url, ca: 'PEM', token: 't', namespace: 'n' });
      expect((await stat(path)).mode & 0o777).toBe(0o600);
      expect(await readdir(join(folder, 'new'))).toEqual(['kubeconfig']);
      expect(await readFile(path, 'utf8')).toContain('current-context: orbit');
      const loaded = await loadKubeconfig(path);
      expect(kubeconfigContext(loaded)).toMatchObject({ namespace: 'n', cluster: { ca: 'PEM' }, user: { token: 't' } });
      const transport = kubeconfigTransport(loaded);
      const answer = await transport.request({ method: 'GET', path: '/' });
      expect(JSON.parse(Buffer.from(await answer.bytes()).toString())).toEqual({ token: 'Bearer t' });
      await transport.close();
    } finally {
      await new Promise(resolve => server.close(resolve));
    }
  });
});

describe('findCluster', () => {
  it('looks at the flag, the environment, the state directory, and home, in this order', async () => {
    const paths = { flag: join(folder, 'flag'), env: join(folder, 'env') };
    const state = join(folder, 'state');
    const home = join(folder, 'home');
    await mkdir(state);
    await mkdir(join(home, '.kube'), { recursive: true });
    const write = (path: string, name: string) => writeFile(path, `current-context: ${name}\n`);
    const options = { stateDirectory: state, home, env: { KUBECONFIG: `${join(folder, 'missing')}:${paths.env}` } };

    await expect(findCluster({ stateDirectory: state, home, env: {} })).rejects.toThrow(
      `no cluster found (looked at --kubeconfig, $KUBECONFIG, ${join(state, 'kubeconfig')}, ${join(home, '.kube', 'config')}); start one with`,
    );
    await write(join(home, '.kube', 'config'), 'home');
    expect((await findCluster({ stateDirectory: state, home, env: {} })).source).toBe('home');
    await write(join(state, 'kubeconfig'), 'state');
    expect((await findCluster({ stateDirectory: state, home, env: {} })).config.currentContext).toBe('state');
    await write(paths.env, 'env');
    expect(await findCluster(options)).toMatchObject({
      source: 'environment',
      paths: [paths.env],
      config: { currentContext: 'env' },
    });
    await write(paths.flag, 'flag');
    expect(await findCluster({ ...options, kubeconfig: paths.flag })).toMatchObject({
      source: 'flag',
      config: { currentContext: 'flag' },
    });
  });

  it('does not fall through when a named file is missing', async () => {
    await expect(findCluster({ kubeconfig: join(folder, 'absent') })).rejects.toThrow('cannot read the kubeconfig');
    await expect(findCluster({ env: { KUBECONFIG: join(folder, 'absent') } })).rejects.toThrow(
      'cannot read the kubeconfig',
    );
  });
});

describe('inClusterConfig', () => {
  it('uses the service account of the pod', async () => {
    const account = join(folder, 'account');
    await mkdir(account);
    await writeFile(join(account, 'namespace'), 'team\n');
    const env = { KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '443' };
    expect(await inClusterConfig({ env, folder: account })).toEqual({
      namespace: 'team',
      transport: { server: 'https://10.0.0.1:443', caFile: join(account, 'ca.crt'), tokenFile: join(account, 'token') },
    });
    const six = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    expect((await inClusterConfig({ env: six, folder: account })).transport.server).toBe('https://[fd00::1]:443');
    await expect(inClusterConfig({ env: {} })).rejects.toThrow('does not run in a pod');
    await expect(inClusterConfig({ env, folder: join(folder, 'none') })).rejects.toThrow('no service account');
  });
});
