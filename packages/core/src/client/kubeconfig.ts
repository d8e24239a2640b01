/**
 * kubeconfig files: reading one or several merged, choosing a context, and writing one for a new cluster.
 *
 * Merging follows client-go: of several files the first that defines a name wins, and relative paths are relative to
 * the file that they stand in. Credentials: token, tokenFile, client certificates, username and password. Exec plugins and
 * auth providers are not run and proxies are not used; a context that needs one is refused by name.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { StatusError } from '../errors/status-error.js';
import { type HttpTransportOptions, httpTransport } from './http-transport.js';
import type { Transport } from './transport.js';

/** One or several files, merged. Paths in it are absolute where the place of the file itself is known. */
export interface Kubeconfig {
  currentContext: string;
  clusters: ReadonlyMap<string, KubeconfigCluster>;
  users: ReadonlyMap<string, KubeconfigUser>;
  contexts: ReadonlyMap<string, KubeconfigContext>;
}

/** Where a cluster is, and how its server is trusted. */
export interface KubeconfigCluster {
  server: string;
  caFile?: string;
  /** PEM. */
  ca?: string;
  insecureSkipTlsVerify?: boolean;
  tlsServerName?: string;
  /** What the cluster needs and this program does not do: a proxy. */
  unsupported?: string;
}

/** As whom: each credential as a value, or in the file beside it (`…File`). */
export interface KubeconfigUser {
  token?: string;
  tokenFile?: string;
  certFile?: string;
  cert?: string;
  keyFile?: string;
  key?: string;
  username?: string;
  password?: string;
  impersonate?: { username: string; groups?: readonly string[]; uid?: string };
  /** What the user needs and this program does not do: `exec`, `auth-provider gcp`. */
  unsupported?: string;
}

/** A user at a cluster. Names that the file does not define are told when the context is used. */
export interface KubeconfigContext {
  cluster: string;
  user: string;
  namespace?: string;
}

const problem = (message: string): StatusError => new StatusError('BadRequest', message);

/** Reads one file, or several that are merged in this order. @throws StatusError BadRequest that names the file. */
export async function loadKubeconfig(paths: string | readonly string[]): Promise<Kubeconfig> {
  const parts = await Promise.all(
    (typeof paths === 'string' ? [paths] : paths).map(async path => {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (cause) {
        throw new StatusError('BadRequest', `cannot read the kubeconfig ${path}: ${(cause as Error).message}`, {
          cause,
        });
      }
      return parseKubeconfig(text, { file: path });
    }),
  );
  return mergeKubeconfigs(parts);
}

function mergeKubeconfigs(parts: readonly Kubeconfig[]): Kubeconfig {
  const merge = <V>(maps: ReadonlyMap<string, V>[]): Map<string, V> =>
    new Map([...maps].reverse().flatMap(map => [...map]));
  return {
    currentContext: parts.map(part => part.currentContext).find(name => name !== '') ?? '',
    clusters: merge(parts.map(part => part.clusters)),
    users: merge(parts.map(part => part.users)),
    contexts: merge(parts.map(part => part.contexts)),
  };
}

/** @param options.file For messages, and the folder of relative paths. Default: none, and paths are taken as they are. */
export async function parseKubeconfig(text: string, options: { file?: string } = {}): Promise<Kubeconfig> {
  const { parse } = await import('yaml');
  const where = options.file ?? 'the kubeconfig';
  let document: any;
  try {
    document = parse(text) ?? {};
  } catch (cause) {
    throw new StatusError('BadRequest', `${where} is not YAML: ${(cause as Error).message}`, { cause });
  }
  if (typeof document !== 'object' || Array.isArray(document))
    throw problem(`${where} is not a kubeconfig: it is not a mapping`);
  if (document.kind !== undefined && document.kind !== 'Config') {
    throw problem(`${where} is not a kubeconfig: its kind is ${document.kind}, not Config`);
  }
  const folder = options.file === undefined ? undefined : dirname(resolve(options.file));
  const file = (path: unknown): string | undefined =>
    typeof path !== 'string' || path === '' ? undefined : folder === undefined ? path : resolve(folder, path);

  function named<V>(list: unknown, field: string, read: (value: any) => V): Map<string, V> {
    const map = new Map<string, V>();
    for (const entry of Array.isArray(list) ? list : []) {
      if (typeof entry?.name !== 'string') throw problem(`${where}: an entry of ${field}s has no name`);
      if (!map.has(entry.name)) map.set(entry.name, read(entry[field] ?? {}));
    }
    return map;
  }

  return {
    currentContext: typeof document['current-context'] === 'string' ? document['current-context'] : '',
    clusters: named(document.clusters, 'cluster', cluster =>
      present<KubeconfigCluster>({
        server: String(cluster.server ?? ''),
        caFile: file(cluster['certificate-authority']),
        ca: fromBase64(cluster['certificate-authority-data']),
        insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true ? true : undefined,
        tlsServerName: cluster['tls-server-name'],
        unsupported: cluster['proxy-url'] ? `the proxy ${cluster['proxy-url']}` : undefined,
      }),
    ),
    users: named(document.users, 'user', user =>
      present<KubeconfigUser>({
        token: user.token,
        tokenFile: file(user.tokenFile),
        certFile: file(user['client-certificate']),
        cert: fromBase64(user['client-certificate-data']),
        keyFile: file(user['client-key']),
        key: fromBase64(user['client-key-data']),
        username: user.username,
        password: user.password,
        impersonate: user.as
          ? present({ username: user.as, groups: user['as-groups'], uid: user['as-uid'] })
          : undefined,
        unsupported: user.exec
          ? `the exec plugin "${user.exec.command ?? ''}"`
          : user['auth-provider']
            ? `the auth provider "${user['auth-provider'].name ?? ''}"`
            : undefined,
      }),
    ),
    contexts: named(document.contexts, 'context', context =>
      present<KubeconfigContext>({
        cluster: String(context.cluster ?? ''),
        user: String(context.user ?? ''),
        namespace: context.namespace || undefined,
      }),
    ),
  };
}

const fromBase64 = (text: unknown): string | undefined =>
  typeof text === 'string' && text !== '' ? Buffer.from(text, 'base64').toString('utf8') : undefined;

/** Without the fields that are undefined. */
function present<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** A context with the entries that it names. */
export interface ResolvedContext {
  name: string;
  cluster: KubeconfigCluster;
  user: KubeconfigUser;
  /** Default `default`. */
  namespace: string;
}

/** The named context, or the current one. @throws StatusError BadRequest that lists the contexts there are. */
export function kubeconfigContext(config: Kubeconfig, name: string = config.currentContext): ResolvedContext {
  const known = [...config.contexts.keys()].join(', ') || 'none';
  if (name === '')
    throw problem(`the kubeconfig has no current context; choose one with --context (there are: ${known})`);
  const context = config.contexts.get(name);
  if (!context) throw problem(`the kubeconfig has no context "${name}" (there are: ${known})`);
  const cluster = config.clusters.get(context.cluster);
  if (!cluster?.server)
    throw problem(`context "${name}": the kubeconfig has no cluster "${context.cluster}" with a server`);
  const user = context.user === '' ? {} : config.users.get(context.user);
  if (!user) throw problem(`context "${name}": the kubeconfig has no user "${context.user}"`);
  return { name, cluster, user, namespace: context.namespace ?? 'default' };
}

/** A transport for the named or current context. @throws StatusError BadRequest when its credentials need a plugin. */
export function kubeconfigTransport(
  config: Kubeconfig,
  options: { context?: string } & Pick<HttpTransportOptions, 'userAgent' | 'clock' | 'impersonate' | 'metrics'> = {},
): Transport {
  const { context, ...rest } = options;
  const { name, cluster, user } = kubeconfigContext(config, context);
  const { unsupported: needed, ...server } = cluster;
  const { unsupported, ...credentials } = user;
  if (needed) throw problem(`context "${name}": its cluster is reached through ${needed}, which orbitkit does not use`);
  if (unsupported && !credentials.token && !credentials.tokenFile && !credentials.cert && !credentials.certFile) {
    throw problem(
      `context "${name}": its user gets credentials from ${unsupported}, which orbitkit does not run; ` +
        'put a token in the kubeconfig instead, e.g. from `kubectl create token`',
    );
  }
  return httpTransport({ ...server, ...credentials, ...rest });
}

/** A kubeconfig of one cluster, one user and one context. */
export interface NewKubeconfig {
  /** Name of cluster, user and context. */
  name: string;
  server: string;
  /** PEM. */
  ca?: string;
  token?: string;
  /** PEM. */
  cert?: string;
  key?: string;
  namespace?: string;
}

/**
 * Writes a kubeconfig with one context, readable by its owner alone (mode 0600), in one step: a reader sees the old file or
 * the new one. The folder is made when it is missing.
 */
export async function writeKubeconfig(path: string, config: NewKubeconfig): Promise<void> {
  const { stringify } = await import('yaml');
  const { name, server, ca, token, cert, key, namespace } = config;
  const base64 = (pem: string) => Buffer.from(pem).toString('base64');
  const text = stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, ...(ca ? { 'certificate-authority-data': base64(ca) } : {}) } }],
    users: [
      {
        name,
        user: {
          ...(token ? { token } : {}),
          ...(cert ? { 'client-certificate-data': base64(cert) } : {}),
          ...(key ? { 'client-key-data': base64(key) } : {}),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name, ...(namespace ? { namespace } : {}) } }],
    'current-context': name,
  });
  await mkdir(dirname(path), { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
