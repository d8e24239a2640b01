/**
 * All extenders of a scheduler, asked in their order as kube-scheduler does.
 *
 * - Filter: each sees the nodes that those before it left; the first that leaves none ends it. A failure is an error, unless the extender is ignorable.
 * - Prioritize: all at once; score × weight × 10 is added to the plugins' total. A failure counts as no opinion.
 * - Preempt: each may drop candidates and victims. Bind: by the one that binds, if it is interested; when it fails and is ignorable, by this scheduler.
 *
 * Source: behaviour of kube-scheduler's findNodesThatPassExtenders, prioritizeNodes, extendersBinding and callExtenders.
 */
import type { Clock, Logger, Pod } from '@orbitkit/core';
import type { NodeRefusal, Preemption } from '../framework/plugin.js';
import { cheapestOf } from '../plugins/default-preemption.js';
import type { ExtenderVerdict } from '../schedule.js';
import type { NodeInfo } from '../snapshot/node-info.js';
import { checkExtenders, type ExtenderConfig } from './config.js';
import { type HttpExtender, httpExtender } from './http-extender.js';
import { maxExtenderPriority } from './wire.js';

export interface Extenders {
  /** Whether anyone has something to say about where the pod goes. */
  decides(pod: Pod): boolean;
  /** @throws Error of an extender that is not ignorable. */
  consult(pod: Pod, feasible: readonly NodeInfo[], signal: AbortSignal): Promise<ExtenderVerdict>;
  /** Undefined when they leave no way. @throws Error of an extender that is not ignorable. */
  preempt(pod: Pod, found: Preemption, signal: AbortSignal): Promise<Preemption | undefined>;
  /** Whether an extender will be asked to bind it. */
  binds(pod: Pod): boolean;
  /** True: bound. False: it could not, and may be ignored. @throws Error of an extender that is not ignorable. */
  bind(pod: Pod, node: string, signal: AbortSignal): Promise<boolean>;
  close(): Promise<void>;
}

const bestScore = 100;

export function extendersOf(
  configs: readonly ExtenderConfig[],
  { clock, log }: { clock: Clock; log: Logger },
): Extenders {
  checkExtenders(configs);
  const all = configs.map(config => httpExtender(config, clock));
  const nameOf = ({ config }: HttpExtender): string => `Extender ${config.urlPrefix}`;

  /** What it answers; undefined when it failed and may be ignored. */
  async function ask<T>(extender: HttpExtender, may: boolean, signal: AbortSignal, doing: () => Promise<T>) {
    try {
      return await doing();
    } catch (error) {
      if (!may || signal.aborted) throw error;
      log.warn('an extender failed and is ignored', { extender: extender.config.urlPrefix, error });
      return undefined;
    }
  }

  async function prioritize(pod: Pod, nodes: readonly NodeInfo[], signal: AbortSignal): Promise<Map<string, number>> {
    const sums = new Map<string, number>();
    // Nothing to choose.
    if (nodes.length < 2) return sums;
    await Promise.all(
      all
        .filter(each => each.config.prioritizeVerb && each.interested(pod))
        .map(async each => {
          const scores = await ask(each, true, signal, () => each.prioritize(pod, nodes, signal));
          const factor = (each.config.weight ?? 1) * (bestScore / maxExtenderPriority);
          for (const [node, score] of scores ?? []) sums.set(node, (sums.get(node) ?? 0) + score * factor);
        }),
    );
    return sums;
  }

  const binder = all.find(each => each.config.bindVerb);
  return {
    decides: pod => all.some(each => (each.config.filterVerb || each.config.prioritizeVerb) && each.interested(pod)),

    async consult(pod, feasible, signal) {
      let left = feasible;
      const refusals = new Map<string, NodeRefusal>();
      for (const each of all) {
        if (left.length === 0) break;
        if (!each.config.filterVerb || !each.interested(pod)) continue;
        const answer = await ask(each, each.config.ignorable ?? false, signal, () => each.filter(pod, left, signal));
        if (!answer) continue;
        const kept = new Set(answer.nodes);
        for (const { name } of left) {
          if (kept.has(name)) continue;
          const final = answer.unresolvable[name];
          refusals.set(name, {
            plugin: nameOf(each),
            reasons: [final ?? answer.failed[name] ?? 'node(s) refused by an extender'],
            ...(final === undefined ? {} : { unresolvable: true }),
          });
        }
        left = left.filter(({ name }) => kept.has(name));
      }
      const scores = await prioritize(pod, left, signal);
      return { nodes: new Set(left.map(({ name }) => name)), refusals, scores };
    },

    async preempt(pod, found, signal) {
      let candidates = found.candidates ?? [{ node: found.node, victims: found.victims, broken: 0 }];
      let asked = false;
      for (const each of all) {
        if (!each.config.preemptVerb || !each.interested(pod)) continue;
        const before = candidates;
        const answer = await ask(each, each.config.ignorable ?? false, signal, () => each.preempt(pod, before, signal));
        if (!answer) continue;
        asked = true;
        candidates = answer.filter(({ victims }) => victims.length > 0);
        if (candidates.length === 0) return undefined;
      }
      return asked ? cheapestOf(candidates) : found;
    },

    binds: pod => binder?.interested(pod) ?? false,
    async bind(pod, node, signal) {
      if (!binder?.interested(pod)) return false;
      const bound = await ask(binder, binder.config.ignorable ?? false, signal, async () => {
        await binder.bind(pod, node, signal);
        return true;
      });
      return bound ?? false;
    },

    async close() {
      await Promise.all(all.map(each => each.close()));
    },
  };
}
