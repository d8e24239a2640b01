/** The roles of a cluster as processes of their own: they meet at the API server, over HTTPS, through a kubeconfig. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import {
  type Client,
  type Component,
  compose,
  createClient,
  kubeconfigTransport,
  logger,
  type Transport,
  type UserInfo,
} from '@orbitkit/core';
import type { Command } from 'commander';
import { type AccessFlags, accessOf, accessOptions } from '../access-flags.js';
import { type PluginFlags, pluginOptions } from '../plugin-flags.js';
import { renewedTransport } from '../renewed-transport.js';
import { defaultStateDirectory, type GlobalFlags, globalFlags } from '../session.js';
import { encryptionOption, type StoreFlags, storeOptions } from '../store-flags.js';
import { targetCluster } from '../target-cluster.js';
import { CommandError, type Terminal } from '../terminal.js';
import type { ClientKeyPair, ClusterTrust } from '../trust.js';
import { hostAndPort, logLevel, pathIn, profileName, runtimeName, seconds } from './options.js';
import { schedulerExplainCommand } from './scheduler-explain.js';
import { schedulerRecordCommand } from './scheduler-record.js';
import { heartbeatOption, timingOptions } from './up.js';

interface RoleFlags extends GlobalFlags, StoreFlags, AccessFlags, PluginFlags {
  dataDir: string;
  listen: string;
  advertiseAddress?: string;
  runtime: string;
  profile: string;
  name: string;
  nodeGrace: string;
  eviction: string;
  heartbeat: string;
  logLevel: string;
  serviceProxy: boolean;
  clusterCidr?: string;
  serviceCidr?: string;
  stopPods?: boolean;
}

export function roleCommands(program: Command, terminal: Terminal): void {
  const role = (name: string, description: string) =>
    program
      .command(name)
      .description(description)
      .option(
        '--data-dir <dir>',
        "where the cluster's state lives on this machine",
        defaultStateDirectory(terminal.env),
      )
      .option('--log-level <level>', 'debug, info, warn or error', 'warn');

  accessOptions(encryptionOption(storeOptions(role('apiserver', 'run the API server alone; writes DIR/kubeconfig'))))
    .option('--listen <host:port>', 'where the API is served', '127.0.0.1:6443')
    .option(
      '--advertise-address <ip>',
      'where pods find it, behind the service default/kubernetes; default: that of --listen',
    )
    .option('--runtime <name>', 'what the nodes will run: decides the address ranges', 'process')
    .option(
      '--service-cidr <range>',
      'range of service addresses: that of the other servers of the same store; else chosen',
    )
    .action(async (flags: RoleFlags) => {
      const { apiServerOf, clusterRanges } = await import('../cluster.js');
      const dataDir = pathIn(terminal, flags.dataDir);
      const listen = hostAndPort(flags.listen);
      const { serverStore } = await import('../store-options.js');
      const store = await serverStore(flags, dataDir, terminal);
      const access = await accessOf(flags, dataDir, terminal);
      const serviceCIDR = flags.serviceCidr ?? (await clusterRanges(dataDir, runtimeName(flags.runtime))).serviceCIDR;
      const server = apiServerOf({
        dataDir,
        listen,
        advertiseAddress: flags.advertiseAddress,
        serviceCIDR,
        store,
        access,
        signal: terminal.signal,
      });
      await serve(
        [server],
        flags,
        terminal,
        () => `orbit apiserver is ready: ${server.endpoint?.url}, kubeconfig ${join(dataDir, 'kubeconfig')}`,
      );
    });

  const scheduler = pluginOptions(
    role('scheduler', 'run the scheduler alone').option(
      '--profile <name>',
      'default or minik8s (nodes take turns)',
      'default',
    ),
  ).action(async (_flags, command) => {
    const { rulesOf, schedulerOf } = await import('../cluster.js');
    const { pluginsFrom } = await import('../plugin-files.js');
    const flags = globalFlags(command) as RoleFlags;
    const plugins = await pluginsFrom(flags.schedulerPlugin, terminal);
    const rules = rulesOf(profileName(flags.profile), plugins(), flags);
    await serveAsClient([schedulerOf(rules)], flags, terminal, 'scheduler');
  });
  schedulerExplainCommand(scheduler, terminal);
  schedulerRecordCommand(scheduler, terminal);

  timingOptions(
    role('controller-manager', 'run the controllers alone').option(
      '--cluster-cidr <range>',
      'range of pod addresses; else that of DIR/network.json',
    ),
  ).action(async (_flags, command) => {
    const { chosenRanges, controllersOf } = await import('../cluster.js');
    const flags = globalFlags(command) as RoleFlags;
    const clusterCIDR = flags.clusterCidr ?? (await chosenRanges(pathIn(terminal, flags.dataDir))).podCIDR;
    const timing = {
      gracePeriodSeconds: seconds('--node-grace', flags.nodeGrace),
      evictionSeconds: seconds('--eviction', flags.eviction),
    };
    const trust = await trustHere(flags, terminal);
    await serveAsClient([controllersOf(clusterCIDR, timing, trust)], flags, terminal, 'controller-manager');
  });

  heartbeatOption(role('node', 'run a node agent alone'))
    .option('--name <name>', 'name of the node', hostname().toLowerCase())
    .option('--runtime <name>', 'process or docker', 'process')
    .option('--no-service-proxy', 'another process of this machine serves the services')
    .option('--stop-pods', 'SIGTERM stops the pods too; without it they run on')
    .action(async (_flags, command) => {
      const { nodeOf, proxyOf, requireRuntime } = await import('../cluster.js');
      const flags = globalFlags(command) as RoleFlags;
      const dataDir = join(pathIn(terminal, flags.dataDir), 'nodes', flags.name);
      const runtime = runtimeName(flags.runtime);
      await requireRuntime(runtime, dataDir);
      const ca = await clusterAuthority(flags, terminal);
      const agent = await nodeOf({
        name: flags.name,
        dataDir,
        runtime,
        clusterCA: () => ca,
        stopPodsOnShutdown: flags.stopPods ?? false,
        heartbeatSeconds: seconds('--heartbeat', flags.heartbeat),
      });
      await serveAsClient(
        flags.serviceProxy ? [proxyOf(flags.name), agent] : [agent],
        flags,
        terminal,
        `node ${flags.name}`,
      );
    });
}

const contextOf = (flags: RoleFlags, terminal: Terminal) =>
  targetCluster(flags, pathIn(terminal, flags.dataDir), terminal);

async function clusterAuthority(flags: RoleFlags, terminal: Terminal): Promise<string> {
  const { cluster } = (await contextOf(flags, terminal)).context;
  const ca = cluster.ca ?? (cluster.caFile ? await readFile(cluster.caFile, 'utf8') : undefined);
  if (!ca)
    throw new CommandError(
      "the kubeconfig names no certificate authority; the agent needs it to know the API server's calls",
    );
  return ca;
}

/** Away from the authority's machine nothing can be signed; what the kubeconfig trusts is published all the same. */
async function trustHere(flags: RoleFlags, terminal: Terminal): Promise<ClusterTrust> {
  const { keepsAuthority, trustOf } = await import('../trust.js');
  const dataDir = pathIn(terminal, flags.dataDir);
  if (await keepsAuthority(dataDir)) return trustOf(dataDir);
  return { certificateAuthority: await clusterAuthority(flags, terminal) };
}

async function serveAsClient(
  components: Component[],
  flags: RoleFlags,
  terminal: Terminal,
  what: string,
): Promise<void> {
  const { config, context } = await contextOf(flags, terminal);
  const userName = config.contexts.get(context.name)?.user;
  const log = logger({ level: logLevel(flags.logLevel) });
  const clients: Client[] = [];
  const transport = (as?: ClientKeyPair): Transport => {
    const users = new Map(config.users);
    // Nothing of the kubeconfig's own identity goes along.
    if (as !== undefined && userName !== undefined) users.set(userName, { cert: as.cert, key: as.key });
    return kubeconfigTransport({ ...config, users }, { context: context.name });
  };
  const connect = (made: Transport): Client => {
    const client = createClient(made);
    clients.push(client);
    return client;
  };
  const own = connect(transport());
  try {
    const byUser = new Map<string, Client>();
    for (const { username, pair } of await identitiesOf(components, flags, terminal)) {
      const client: Client = connect(
        renewedTransport({
          first: await pair(own, terminal.signal),
          open: transport,
          // A node asks for its next certificate as itself.
          renew: signal => pair(client, signal),
          log: log.with({ user: username }),
        }),
      );
      byUser.set(username, client);
    }
    const clientFor = (user: UserInfo) => byUser.get(user.username) ?? own;
    await serve(components, flags, terminal, () => `orbit ${what} is ready: ${context.cluster.server}`, clientFor);
  } finally {
    await Promise.all(clients.map(client => client.close()));
  }
}

interface Identity {
  readonly username: string;
  /** The certificate from before, or a new one when its time has come. */
  pair(client: Client, signal: AbortSignal): Promise<ClientKeyPair>;
}

/** The client certificates of the components' users, as far as they can be had here. */
async function identitiesOf(
  components: readonly Component[],
  flags: RoleFlags,
  terminal: Terminal,
): Promise<Identity[]> {
  const { issuedFor, keepsAuthority, requestedFor } = await import('../trust.js');
  const dataDir = pathIn(terminal, flags.dataDir);
  const here = await keepsAuthority(dataDir);
  return components.flatMap(({ user }): Identity[] => {
    if (user === undefined) return [];
    const { username } = user;
    if (here) return [{ username, pair: () => issuedFor(dataDir, user) }];
    if (!user.groups.includes('system:nodes')) return [];
    const dir = join(dataDir, 'nodes', flags.name, 'pki');
    return [{ username, pair: (client, signal) => requestedFor(dir, flags.name, client, signal) }];
  });
}

async function serve(
  components: Component[],
  flags: RoleFlags,
  terminal: Terminal,
  line: () => string,
  client?: (user: UserInfo) => Client,
): Promise<void> {
  const composition = compose(
    { log: logger({ level: logLevel(flags.logLevel) }), stopTimeoutMs: 45_000, ...(client ? { client } : {}) },
    ...components,
  );
  const running = composition.run({ signal: terminal.signal });
  await Promise.race([composition.ready, running]);
  if (!terminal.signal.aborted) terminal.stdout.write(`${line()}\n`);
  await running;
}
