/**
 * Which cluster a command means: `--kubeconfig`, `$KUBECONFIG`, the state directory of a running `orbit up`, then
 * `~/.kube/config` (which orbitkit never writes), and inside a pod its service account.
 */
import { access, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { StatusError } from '../errors/status-error.js';
import type { HttpTransportOptions } from './http-transport.js';
import { type Kubeconfig, loadKubeconfig } from './kubeconfig.js';

/** Where is looked. What is not given is not looked at, but for the environment and the home. */
export interface FindClusterOptions {
  /** The flag's value. */
  kubeconfig?: string;
  /** Where `orbit up` keeps its state; its kubeconfig is `kubeconfig` in there. */
  stateDirectory?: string;
  /** Default: the process's own. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Default: the user's home. */
  home?: string;
}

/** What was found, and where. */
export interface FoundCluster {
  config: Kubeconfig;
  /** The files that were read. */
  paths: readonly string[];
  source: 'flag' | 'environment' | 'state directory' | 'home';
}

const exists = async (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/** @throws StatusError NotFound that lists where it looked; BadRequest when the file that was found is wrong. */
export async function findCluster(options: FindClusterOptions = {}): Promise<FoundCluster> {
  const { env = process.env, home = homedir() } = options;
  const read = async (source: FoundCluster['source'], paths: string[]): Promise<FoundCluster> => ({
    source,
    paths,
    config: await loadKubeconfig(paths),
  });
  if (options.kubeconfig) return read('flag', [options.kubeconfig]);

  const fromEnvironment = (env['KUBECONFIG'] ?? '').split(delimiter).filter(path => path !== '');
  if (fromEnvironment.length > 0) {
    // client-go skips files of the list that do not exist, unless none does.
    const present = await Promise.all(fromEnvironment.map(exists));
    const paths = fromEnvironment.filter((_, index) => present[index]);
    return read('environment', paths.length > 0 ? paths : fromEnvironment);
  }

  const looked: string[] = ['--kubeconfig', '$KUBECONFIG'];
  if (options.stateDirectory) {
    const path = join(options.stateDirectory, 'kubeconfig');
    if (await exists(path)) return read('state directory', [path]);
    looked.push(path);
  }
  const path = join(home, '.kube', 'config');
  if (await exists(path)) return read('home', [path]);
  looked.push(path);
  throw new StatusError('NotFound', `no cluster found (looked at ${looked.join(', ')}); start one with \`orbit up\``);
}

/** How a program in a pod reaches its own cluster. */
export interface InClusterConfig {
  transport: HttpTransportOptions;
  /** The pod's own namespace. */
  namespace: string;
}

const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/**
 * The API as a pod sees it through its service account; the token's file is read again as it is renewed.
 * @throws StatusError NotFound outside of a pod.
 */
export async function inClusterConfig(
  options: { env?: Readonly<Record<string, string | undefined>>; folder?: string } = {},
): Promise<InClusterConfig> {
  const { env = process.env, folder = serviceAccountFolder } = options;
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'];
  if (!host || !port) {
    throw new StatusError(
      'NotFound',
      'this process does not run in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set',
    );
  }
  let namespace: string;
  try {
    namespace = (await readFile(join(folder, 'namespace'), 'utf8')).trim();
  } catch (cause) {
    throw new StatusError('NotFound', `the pod has no service account in ${folder}: ${(cause as Error).message}`, {
      cause,
    });
  }
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { namespace, transport: { server, caFile: join(folder, 'ca.crt'), tokenFile: join(folder, 'token') } };
}
