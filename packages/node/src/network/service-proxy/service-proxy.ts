/**
 * The service proxy of a node: what a Service promises, kept on this machine.
 *
 * Cluster addresses and node ports give their connections to the ready endpoints in turn (sessionAffinity ClientIP: each
 * client to its own). A pod that is not ready gets none; a port without endpoints refuses. It is level-triggered: from
 * the caches of Services and EndpointSlices it computes what should be, and brings the data path there, again until that
 * works. It ends by taking everything back.
 *
 * Not served, and left alone: SCTP, IPv6, ExternalName, externalIPs, load balancers, `externalTrafficPolicy: Local`.
 */
import {
  type Component,
  type ComponentContext,
  EndpointSlice,
  type EventRecorder,
  eventRecorder,
  isForbidden,
  isNotFound,
  Namespace,
  Service,
} from '@orbitkit/core';
import { informerFactory } from '@orbitkit/informer';
import { whyNotRoot } from '../../runtime/process/mode.js';
import { isLoopback } from '../address-range.js';
import { runCommand } from '../command.js';
import type { DataPath, Deviation } from './data-path.js';
import { holdAlone } from './holder.js';
import { nftablesDataPath } from './nftables.js';
import { type ServicePort, servicePorts } from './service-port.js';
import { reportDeviations } from './status-report.js';
import { userspaceDataPath } from './userspace.js';

/** Only the node's name has no default. */
export interface ServiceProxyOptions {
  nodeName: string;
  /** In names on the machine; nodes of one cluster on one machine must agree on it. Default: uid of namespace kube-system. */
  cluster?: string;
  /** Default `auto`: as root where this machine allows it, unless the service range is in 127/8: the process runtime's rule. */
  mode?: 'auto' | 'rootless' | 'root';
  /** The cluster's service range: addresses in it that no service has refuse, and rootless substitutes come from it. */
  serviceCIDR?: string;
  /** As root: hides clients behind the node, for pod networks where an answer can pass the node by. Default false. */
  masqueradeAll?: boolean;
}

/** Changes within this time become one (kube-proxy's minSyncPeriod, which is a second for iptables). */
const gatherMs = 20;
const retryFirstMs = 1_000;
const retryMostMs = 30_000;

/** The proxy as a component: one on each machine, however many nodes are on it. It changes nothing on the machine before it runs. */
export function serviceProxy(options: ServiceProxyOptions): Component {
  const { nodeName, serviceCIDR } = options;
  const name = `service-proxy-${nodeName}`;

  function rootless(): boolean {
    if (options.mode === 'rootless' || options.mode === 'root') return options.mode === 'rootless';
    return (serviceCIDR !== undefined && isLoopback(serviceCIDR)) || whyNotRoot() !== undefined;
  }

  async function openDataPath(context: ComponentContext): Promise<DataPath> {
    const cluster = options.cluster ?? (await clusterIdentity(context)) ?? serviceCIDR ?? 'default';
    const range = serviceCIDR ? { serviceCIDR } : {};
    if (rootless()) {
      const lock = await holdAlone(cluster, context.clock, context.signal, () => {
        context.log.info('another node on this machine serves this cluster; standing by', { cluster });
        context.ready();
      });
      const path = userspaceDataPath({ clock: context.clock, ...range });
      return {
        ...path,
        async close() {
          await path.close();
          await lock.release();
        },
      };
    }
    // Tried now, so that a missing program is said at the start and not at the first service.
    await runCommand('nft', ['--version']);
    await runCommand('ip', ['-V']);
    const masquerade = options.masqueradeAll ? { masqueradeAll: true } : {};
    return both(
      nftablesDataPath({ cluster, nodeName, ...range, ...masquerade }),
      userspaceDataPath({ clock: context.clock, serves: 'node-ports-on-loopback' }),
    );
  }

  return {
    name,
    user: { username: 'system:kube-proxy', groups: ['system:authenticated'] },
    async run(context) {
      const { signal, clock, client, log } = context;
      const stop = new AbortController();
      const inner = AbortSignal.any([signal, stop.signal]);
      const informers = informerFactory({ client, clock, log, metrics: context.metrics });
      const services = informers.informer(Service);
      const slices = informers.informer(EndpointSlice);
      const recorder = eventRecorder({ client, component: 'service-proxy', host: nodeName, clock, signal });
      let wake = () => {};
      let changed = true;
      const onChange = () => {
        changed = true;
        wake();
      };
      const handler = { onAdd: onChange, onUpdate: onChange, onDelete: onChange };
      services.addHandler(handler);
      slices.addHandler(handler);

      let path: DataPath | undefined;
      const running = informers.run({ signal: inner });
      running.catch(() => {});
      try {
        path = await openDataPath(context);
        await informers.waitForSync({ signal: inner });
        let retryAfterMs = retryFirstMs;
        while (!signal.aborted) {
          changed = false;
          const ports = servicePorts(services.store.list(), slices.store.list(), nodeName);
          const outcome = await applyTo(path, ports, log);
          if (outcome) {
            context.ready();
            report(outcome, ports, recorder);
          }
          const complete = outcome?.every(({ reason }) => reason !== 'Unavailable') ?? false;
          retryAfterMs = complete ? retryFirstMs : Math.min(retryMostMs, retryAfterMs * 2);
          await waitForChange(complete ? undefined : retryAfterMs);
          await clock.sleep(gatherMs, signal);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        stop.abort();
        await running.catch(() => {});
        await path?.close();
      }

      function waitForChange(mostMs: number | undefined): Promise<void> {
        if (changed || signal.aborted) return Promise.resolve();
        return new Promise(resolve => {
          const timer = mostMs === undefined ? undefined : clock.setTimer(mostMs, () => done());
          const done = () => {
            timer?.cancel();
            signal.removeEventListener('abort', done);
            wake = () => {};
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }

      function report(deviations: readonly Deviation[], ports: readonly ServicePort[], recorder: EventRecorder): void {
        reportDeviations({ deviations, ports, services: services.store, client, recorder, clock, log, signal });
      }
    },
  };
}

/** The same for every proxy of a cluster, whoever started it. Undefined when the API does not tell. */
async function clusterIdentity({ client, clock, log, signal }: ComponentContext): Promise<string | undefined> {
  for (;;) {
    try {
      return (await client.get(Namespace, { name: 'kube-system' }, { signal })).metadata.uid;
    } catch (error) {
      if (isNotFound(error) || isForbidden(error)) return undefined;
      signal.throwIfAborted();
      log.debug('the cluster cannot be asked who it is; trying again', { error: String(error) });
      await clock.sleep(retryFirstMs, signal);
    }
  }
}

async function applyTo(
  path: DataPath,
  ports: readonly ServicePort[],
  log: ComponentContext['log'],
): Promise<readonly Deviation[] | undefined> {
  try {
    return await path.apply(ports);
  } catch (error) {
    log.error('services could not be applied; trying again', { dataPath: path.name, error: String(error) });
    return undefined;
  }
}

/** Two data paths as one. */
function both(one: DataPath, other: DataPath): DataPath {
  return {
    name: `${one.name}+${other.name}`,
    apply: async ports => [...(await one.apply(ports)), ...(await other.apply(ports))],
    async close() {
      await other.close();
      await one.close();
    },
  };
}
