/** A command's connection: which cluster, as whom, in which namespace, and what kinds it serves. */
import { join } from 'node:path';
import {
  type Client,
  createClient,
  type DiscoveredKind,
  discoverKinds,
  isNotFound,
  type KindResolver,
  kubeconfigTransport,
} from '@orbitkit/core';
import type { Command } from 'commander';
import { type ClusterFlags, targetCluster } from './target-cluster.js';
import { CommandError, type Terminal } from './terminal.js';

export interface GlobalFlags extends ClusterFlags {
  namespace?: string;
  requestTimeout?: string;
}

/** An open connection of a command. */
export interface Session {
  client: Client;
  kinds: KindResolver;
  /** Of `-n`, or the context. */
  namespace: string;
  /** The context was named by the user. */
  contextNamed: boolean;
  server: string;
  close(): Promise<void>;
}

/** Where `orbit up` keeps a cluster when no `--data-dir` says otherwise. */
export function defaultStateDirectory(env: Terminal['env']): string {
  return env.ORBIT_HOME ?? join(env.HOME ?? '.', '.orbit');
}

export const globalFlags = (command: Command): GlobalFlags => command.optsWithGlobals<GlobalFlags>();

/**
 * Finds the cluster and asks what it serves. The caller closes the session.
 * @throws CommandError or StatusError when there is none, or it does not answer.
 */
export async function openSession(flags: GlobalFlags, terminal: Terminal): Promise<Session> {
  const { config, context } = await targetCluster(flags, defaultStateDirectory(terminal.env), terminal);
  const transport = kubeconfigTransport(config, { context: context.name });
  const warned = new Set<string>();
  const client = createClient(transport, {
    onWarning(text: string) {
      if (warned.has(text)) return;
      warned.add(text);
      terminal.stderr.write(`Warning: ${text}\n`);
    },
  });
  try {
    const kinds = await discoverKinds(client, { signal: terminal.signal });
    return {
      client,
      kinds,
      namespace: flags.namespace ?? context.namespace,
      contextNamed: flags.context !== undefined || flags.kubeconfig !== undefined,
      server: context.cluster.server,
      close: () => client.close(),
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Runs the work with a session and closes it, whatever happens. */
export async function withSession<T>(
  flags: GlobalFlags,
  terminal: Terminal,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const session = await openSession(flags, terminal);
  try {
    return await work(session);
  } finally {
    await session.close();
  }
}

/** Words that older MiniK8s tools used and discovery does not know. */
const aliases: Readonly<Record<string, string>> = { hpas: 'hpa', rss: 'rs', svcs: 'svc' };

/** `po`, `pods`, `Pod`, `deploy`, `deployments.apps`. @throws CommandError when the server has no such type. */
export function kindOf(session: Session, name: string): DiscoveredKind {
  const word = name.toLowerCase();
  try {
    return session.kinds.byName(aliases[word] ?? word);
  } catch (error) {
    throw isNotFound(error) ? new CommandError(error.message) : error;
  }
}

export interface Target {
  kind: DiscoveredKind;
  name: string;
}

/** Reads `TYPE NAME…`, `TYPE/NAME…` and `TYPE1,TYPE2` as kubectl does. Names are absent where all objects are meant. */
export function targetsOf(session: Session, words: readonly string[]): { kinds: DiscoveredKind[]; targets: Target[] } {
  const [first, ...names] = words;
  if (first === undefined) throw new Error('a resource type is required, e.g. "pods"');
  if (first.includes('/')) {
    return {
      kinds: [],
      targets: words.map(word => {
        const slash = word.indexOf('/');
        if (slash <= 0 || slash === word.length - 1) throw new Error(`"${word}" is not TYPE/NAME`);
        return { kind: kindOf(session, word.slice(0, slash)), name: word.slice(slash + 1) };
      }),
    };
  }
  const kinds = first.split(',').flatMap(word => {
    const category = session.kinds.byCategory(word);
    return category.length > 0 ? category : [kindOf(session, word)];
  });
  return { kinds, targets: kinds.flatMap(kind => names.map(name => ({ kind, name }))) };
}

/** `pod/web` or `deployment.apps/web`, as kubectl prints them. */
export const objectName = (kind: DiscoveredKind, name: string): string =>
  `${kind.singular || kind.kind.toLowerCase()}${kind.group ? `.${kind.group}` : ''}/${name}`;

export const keyIn = (session: Session, kind: DiscoveredKind, name: string, namespace = session.namespace) =>
  kind.namespaced ? { namespace, name } : { name };
