/**
 * `orbit up`: a whole cluster in one process: API server on the embedded store, scheduler, controllers, nodes, service proxy.
 *
 * It prints one line when it is ready. SIGTERM stops the pods, then the rest, and it ends with exit code 0; `kill -9` leaves
 * the pods running, and the next `orbit up` on the same directory takes them over.
 */
import { join } from 'node:path';
import { type Component, compose, logger } from '@orbitkit/core';
import type { Command } from 'commander';
import { type AccessFlags, accessOf, accessOptions } from '../access-flags.js';
import { groupOf } from '../option-groups.js';
import { type PluginFlags, pluginOptions } from '../plugin-flags.js';
import { during } from '../progress.js';
import { defaultStateDirectory } from '../session.js';
import { encryptionOption, type StoreFlags, storeOptions } from '../store-flags.js';
import type { Terminal } from '../terminal.js';
import { defaultHeartbeatSeconds, defaultTiming } from '../timing.js';
import { hostAndPort, logLevel, pathIn, profileName, runtimeName, seconds, wholeNumber } from './options.js';

interface UpFlags extends StoreFlags, AccessFlags, PluginFlags {
  dataDir: string;
  listen: string;
  advertiseAddress?: string;
  runtime: string;
  nodes: string;
  profile: string;
  nodeGrace: string;
  eviction: string;
  heartbeat: string;
  logLevel: string;
}

const nodeHeading = 'When a node counts as lost:';

/** Adds the timing options that `up` and `controller-manager` share. */
export function timingOptions(command: Command): Command {
  return groupOf(command, nodeHeading, grouped =>
    grouped
      .option(
        '--node-grace <seconds>',
        'a node is lost after this long without a heartbeat',
        String(defaultTiming.gracePeriodSeconds),
      )
      .option('--eviction <seconds>', 'pods stay this long on a lost node', String(defaultTiming.evictionSeconds)),
  );
}

/** Adds the option that `up` and `node` share. A lost node is told from a slow one by several missed heartbeats. */
export const heartbeatOption = (command: Command): Command =>
  groupOf(command, nodeHeading, grouped =>
    grouped.option(
      '--heartbeat <seconds>',
      'a node says this often that it lives; --node-grace is several times as long',
      String(defaultHeartbeatSeconds),
    ),
  );

export function upCommand(program: Command, terminal: Terminal): void {
  const command = timingOptions(
    program
      .command('up')
      .description('run a cluster on this machine, in one process')
      .option('--data-dir <dir>', 'where its state lives', defaultStateDirectory(terminal.env))
      .option('--listen <host:port>', 'where the API is served', '127.0.0.1:6443')
      .option(
        '--advertise-address <ip>',
        'where pods find it, behind the service default/kubernetes; default: that of --listen',
      )
      .option('--runtime <name>', 'process (nothing else needed) or docker', 'process')
      .option('--nodes <n>', 'how many nodes', '1')
      .option('--profile <name>', "the scheduler's rules: default or minik8s (nodes take turns)", 'default')
      .option('--log-level <level>', 'debug, info, warn or error', 'warn'),
  );
  accessOptions(encryptionOption(storeOptions(heartbeatOption(pluginOptions(command))))).action(
    async (flags: UpFlags) => {
      // A server is loaded by those who run one; `orbit get` must start at once.
      const { apiServerOf, clusterRanges, controllersOf, nodeOf, proxyOf, requireRuntime, rulesOf, schedulerOf } =
        await import('../cluster.js');
      const { pluginsFrom } = await import('../plugin-files.js');
      const { serverStore } = await import('../store-options.js');
      const { trustOf } = await import('../trust.js');
      const dataDir = pathIn(terminal, flags.dataDir);
      const log = logger({ level: logLevel(flags.logLevel) });
      const runtime = runtimeName(flags.runtime);
      const count = wholeNumber('--nodes', flags.nodes, 1, 100);
      const timing = {
        gracePeriodSeconds: seconds('--node-grace', flags.nodeGrace),
        evictionSeconds: seconds('--eviction', flags.eviction),
      };
      const heartbeatSeconds = seconds('--heartbeat', flags.heartbeat);
      const listen = hostAndPort(flags.listen);
      const plugins = await pluginsFrom(flags.schedulerPlugin, terminal);
      const rules = rulesOf(profileName(flags.profile), plugins(), flags);
      await requireRuntime(runtime, dataDir);
      const ranges = await clusterRanges(dataDir, runtime);
      const store = await serverStore(flags, dataDir, terminal);
      const access = await accessOf(flags, dataDir, terminal);
      const server = apiServerOf({
        dataDir,
        listen,
        advertiseAddress: flags.advertiseAddress,
        serviceCIDR: ranges.serviceCIDR,
        store,
        access,
        signal: terminal.signal,
      });
      const nodes = await Promise.all(
        Array.from({ length: count }, (_, index) =>
          nodeOf({
            name: `n${index + 1}`,
            dataDir: join(dataDir, 'nodes', `n${index + 1}`),
            runtime,
            clusterCA: () => server.certificateAuthority(),
            stopPodsOnShutdown: true,
            heartbeatSeconds,
          }),
        ),
      );
      const components: Component[] = [
        server,
        schedulerOf(rules),
        controllersOf(ranges.podCIDR, timing, trustOf(dataDir)),
        proxyOf('n1'),
        ...nodes,
      ];
      const cluster = compose({ log, stopTimeoutMs: 45_000 }, ...components);
      const running = cluster.run({ signal: terminal.signal }).finally(() => ranges.release());
      await during(terminal, 'starting the cluster', () => Promise.race([cluster.ready, running]));
      if (terminal.signal.aborted) return running;
      terminal.stdout.write(
        `orbit is up: ${server.endpoint?.url}, ${count} ${count === 1 ? 'node' : 'nodes'} (${runtime}), kubeconfig ${join(dataDir, 'kubeconfig')}\n`,
      );
      await running;
    },
  );
}
