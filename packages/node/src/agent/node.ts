/**
 * The node agent: registers its Node, runs the pods that are bound to it, reports, serves their streams.
 *
 * Composition only; the parts are rooms of their own. `run` resolves when the signal aborts and everything is let go; with
 * `stopPodsOnShutdown` the pods are stopped first, otherwise they run on and the next agent over the same data directory adopts them.
 */
import { type Component, type ComponentContext, eventRecorder } from '@orbitkit/core';
import { references } from '../env/references.js';
import { imagePuller } from '../images/image-puller.js';
import { backOffs } from '../pod-worker/back-off.js';
import { streamServer } from '../streams/stream-server.js';
import { claimedVolumes } from '../volumes/claimed-volumes.js';
import { localVolumesOf } from '../volumes/local-volumes.js';
import { mounts } from '../volumes/mounts.js';
import { podVolumes } from '../volumes/pod-volumes.js';
import { podTokens } from '../volumes/service-account-tokens.js';
import { openDataDirectory } from './data-directory.js';
import { machineFacts } from './node-object.js';
import { type NodeOptions, settingsOf } from './options.js';
import { type PodManager, podManager } from './pod-manager.js';
import { registration } from './registration.js';

/** How long the last words of a stopping agent may take. */
const farewellMs = 2_000;

/** @throws Error that names the option when one cannot be right. */
export function node(options: NodeOptions): Component {
  const settings = settingsOf(options);
  const { runtime } = options;

  async function run(context: ComponentContext): Promise<void> {
    const { clock, client } = context;
    const log = context.log.with({ node: settings.name });
    const work = new AbortController();
    const { agentId } = await openDataDirectory(settings.dataDir);
    const recorder = eventRecorder({ client, component: 'kubelet', host: settings.name, clock, signal: work.signal });
    const now = () => clock.now();
    const pullBackOffs = backOffs({ ...settings.imageBackOff, now });
    const local = localVolumesOf(settings.dataDir);
    const mounted = mounts();
    let pods: PodManager | undefined;

    const streams = settings.listen
      ? await streamServer({
          listen: settings.listen,
          name: settings.name,
          address: settings.address,
          dataDir: settings.dataDir,
          runtime,
          clock,
          log,
          pods: () => pods,
        })
      : undefined;
    try {
      const registered = registration({
        settings,
        client,
        runtime,
        clock,
        log,
        machine: await machineFacts(),
        serving: streams,
        runtimeFailure: () => pods?.runtimeFailure,
        onChecked: (object, signal) => local.settle(object, client, signal),
      });
      await registered.register(context.signal);

      pods = podManager({
        name: settings.name,
        agentId,
        client,
        runtime,
        clock,
        log,
        relistMs: settings.relistMs,
        host: {
          settings,
          agentId,
          runtime,
          client,
          clock,
          log,
          images: imagePuller({ runtime, clock, backOffs: pullBackOffs, parallel: settings.parallelPulls }),
          volumes: podVolumes({
            dataDir: settings.dataDir,
            mounts: mounted,
            claimed: claimedVolumes({ local, mounts: mounted, nodeLabels: registered.labels }),
          }),
          references: references({ client, clock }),
          tokens: podTokens({ client, clock }),
          restartBackOffs: backOffs({ ...settings.restartBackOff, now }),
          allocatable: settings.capacity,
          podCIDR: signal => registered.podCIDR(signal),
          event: (pod, type, reason, message) => recorder.event(pod, type, reason, message),
        },
      });
      const manager = pods;
      const running = Promise.all([manager.run(work.signal), registered.run(work.signal)]);
      // Whichever comes first: the signal, or a part that broke.
      const aborted = new Promise<void>(resolve => {
        if (context.signal.aborted) resolve();
        context.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      void Promise.race([manager.synced, aborted]).then(() => !context.signal.aborted && context.ready());
      try {
        await Promise.race([aborted, running]);
        if (settings.stopPodsOnShutdown) {
          const limit = AbortSignal.any([work.signal, AbortSignal.timeout(farewellMs)]);
          await Promise.all([manager.stopPods(settings.shutdownGraceMs), registered.reportStopping(limit)]);
        }
      } finally {
        work.abort();
        await running;
      }
    } catch (error) {
      // Stopped before it was registered: nothing was begun.
      if (!context.signal.aborted) throw error;
    } finally {
      work.abort();
      await streams?.close();
      if (context.signal.aborted) await runtime.close();
    }
  }

  return {
    name: `node/${settings.name}`,
    user: { username: `system:node:${settings.name}`, groups: ['system:nodes', 'system:authenticated'] },
    run,
  };
}
