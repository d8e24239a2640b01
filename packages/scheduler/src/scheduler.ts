/**
 * The live scheduler: informers → queue → cluster state → schedule → assume → bind.
 *
 * One pod is decided at a time, so that each decision sees the one before it; binding goes on beside. What cannot be placed gets the
 * condition PodScheduled=False and a FailedScheduling event with the nodes' reasons, and is tried again when something relevant
 * changes. Pods that extenders have a say in are asked about beside the other decisions and decided with the answers, in the cluster as it is then. A placement whose binding failed is taken back, also when another scheduler was faster. It may be killed at any instruction: what is bound
 * is in the store, what is not is decided again.
 */
import { type Component, type ComponentContext, isConflict, isNotFound, type Pod } from '@orbitkit/core';
import { commit, rollback } from './commit.js';
import { answersOf } from './decisions/answers.js';
import { talkAboutDecisions } from './decisions/talk.js';
import { asked, awaited } from './engine/asked.js';
import { refusalsByNode } from './explain.js';
import { checkExtenders, type ExtenderConfig, ignoredResourcesOf } from './extender/config.js';
import { extendersOf } from './extender/extenders.js';
import type { NodeRefusal, Plugin, Preemption } from './framework/plugin.js';
import { type Profile, profile } from './framework/profile.js';
import { boundedSignal } from './live/bounded-signal.js';
import { watchCluster } from './live/cluster-watch.js';
import { type DecisionLog, decisionLog } from './live/decision-log.js';
import { podWriter } from './live/pod-writer.js';
import { schedulerEvents } from './live/scheduler-events.js';
import { Slots } from './live/slots.js';
import { atLeast } from './option-checks.js';
import { defaultPlugins } from './profiles.js';
import { schedulingQueue } from './queue/scheduling-queue.js';
import { type Decision, schedule, summaryOf } from './schedule.js';
import { ClusterState } from './snapshot/cluster-state.js';
import type { NodeInfo } from './snapshot/node-info.js';

/** Everything has a default. */
export interface SchedulerOptions {
  /** Default: `defaultPlugins()`. */
  plugins?: readonly Plugin[];
  /** Only pods with this `spec.schedulerName`. Default `default-scheduler`. */
  schedulerName?: string;
  /** Several sets of rules in one scheduler, each for its own `spec.schedulerName`; instead of the two above. The first one's sort orders the queue. */
  profiles?: readonly Profile[];
  /** Asked over HTTP about each pod, after the plugins' filters and scores: kube-scheduler's `extenders`, of all profiles. */
  extenders?: readonly ExtenderConfig[];
  /** Bindings under way at the most; deciding waits beyond it. Pods that wait in Permit do not count. Default 128. */
  bindConcurrency?: number;
  /** Bound on waiting in Permit, and on PreBind and Bind together. Default 60 s. */
  bindTimeoutMs?: number;
  /** Decisions kept for `scheduler.decisions`. Default 1,000. */
  keptDecisions?: number;
  /** Answers the API server's `SchedulingDecision` requests, if it has a `decisionRelay`. Default false: other clusters serve no such kind. */
  tellDecisions?: boolean;
}

/** A component whose rules and decisions can be looked at while it runs. */
export interface SchedulerComponent extends Component {
  /** Rules may be added, removed and reweighted while it runs. */
  readonly profiles: readonly Profile[];
  /** The last decisions. */
  readonly decisions: DecisionLog;
}

/** Below this many nodes every live decision is kept with all scores. */
const detailedNodes = 100;

/** @throws Error that names the option: two profiles for one scheduler name, an extender that is not configured right, a number out of range. */
export function scheduler(options: SchedulerOptions = {}): SchedulerComponent {
  const profiles = options.profiles ?? [
    profile({
      plugins: options.plugins ?? defaultPlugins(),
      ...(options.schedulerName ? { schedulerName: options.schedulerName } : {}),
    }),
  ];
  const first = profiles[0];
  if (!first) throw new Error('profiles: give at least one');
  const byName = new Map(profiles.map(each => [each.schedulerName, each]));
  if (byName.size !== profiles.length) throw new Error('profiles: two are for one schedulerName');
  checkExtenders(options.extenders ?? []);
  atLeast('bindConcurrency', options.bindConcurrency, 1);
  atLeast('bindTimeoutMs', options.bindTimeoutMs, 1);
  atLeast('keptDecisions', options.keptDecisions, 0);
  const decisions = decisionLog(options.keptDecisions);
  return {
    name: first.schedulerName === 'default-scheduler' ? 'kube-scheduler' : first.schedulerName,
    user: { username: 'system:kube-scheduler', groups: ['system:authenticated'] },
    profiles,
    decisions,
    run: context => run(context, first, byName, options, decisions),
  };
}

async function run(
  context: ComponentContext,
  first: Profile,
  profiles: ReadonlyMap<string, Profile>,
  options: SchedulerOptions,
  decisions: DecisionLog,
): Promise<void> {
  const { client, clock, log, metrics, signal } = context;
  const profileOf = (pod: Pod): Profile | undefined => profiles.get(pod.spec.schedulerName ?? 'default-scheduler');
  const state = new ClusterState();
  const queue = schedulingQueue({ profile: first, profileOf, clock, snapshot: state });
  const events = schedulerEvents({ client, clock, signal });
  const writer = podWriter({ client, clock, log, events, signal });
  const attempts = metrics.counter('scheduler_schedule_attempts_total', 'Decisions by result', ['result']);
  const duration = metrics.histogram(
    'scheduler_pod_scheduling_sli_duration_seconds',
    'Seconds from entering the queue to bound',
  );
  const slots = new Slots(options.bindConcurrency ?? 128);
  const consultations = new Slots(options.bindConcurrency ?? 128);
  const configs = options.extenders ?? [];
  const extenders = configs.length > 0 ? extendersOf(configs, { clock, log }) : undefined;
  const ignoredResources = ignoredResourcesOf(configs);
  const work = new Set<Promise<void>>();
  const eachPlugin = (act: (plugin: Plugin) => void): void => {
    for (const each of profiles.values()) for (const plugin of each.plugins) act(plugin);
  };
  const notice = queue.notice;
  const attached = new WeakSet<Plugin>();
  const attach = (): void =>
    eachPlugin(plugin => {
      if (attached.has(plugin)) return;
      attached.add(plugin);
      plugin.attach?.({ client, clock, snapshot: state, signal, notice, ignoredResources });
    });
  attach();
  const forgetListeners = [...profiles.values()].map(each =>
    each.onChange(() => {
      attach();
      queue.reconsider();
    }),
  );

  const cluster = watchCluster({
    client,
    clock,
    log,
    signal,
    state,
    listener: {
      pending(pod) {
        // What another decision nominated, before this scheduler started or through another one, holds its room.
        const { nominatedNodeName } = pod.status;
        if (nominatedNodeName) state.nominate(pod.metadata.uid, pod, nominatedNodeName);
        if (profileOf(pod) && !state.isAssumed(pod.metadata.uid)) queue.add(pod);
      },
      settled: pod => queue.remove(pod.metadata.uid),
      notice,
      joined: name => eachPlugin(plugin => plugin.nodeJoined?.(name)),
      left: name => eachPlugin(plugin => plugin.nodeLeft?.(name)),
    },
  });

  async function refuse(pod: Pod, decision: Decision & { outcome: 'unschedulable' }): Promise<void> {
    const { losesNomination, preemption, refusedBy } = decision;
    attempts.inc({ result: 'unschedulable' });
    const byNode = refusalsByNode(decision);
    const message = byNode ? `${decision.message} ${byNode}` : decision.message;
    events.failed(pod, message);
    if (preemption) return makeRoom(pod, message, preemption, refusedBy);
    queue.refuse(pod.metadata.uid, refusedBy);
    if (losesNomination) nominate(pod, undefined);
    return writer.waits(pod, message, losesNomination ? '' : undefined);
  }

  /** Until its victims are told, the pod is not decided again: it would look for others. What happens meanwhile counts. */
  async function makeRoom(pod: Pod, message: string, found: Preemption, refusedBy: ReadonlySet<string>): Promise<void> {
    try {
      const preemption = extenders ? await wayOut(pod, found) : found;
      if (!preemption) return await writer.waits(pod, message);
      nominate(pod, preemption.node);
      await writer.waits(pod, message, preemption.node);
      await writer.preempt(pod, preemption);
    } finally {
      queue.refuse(pod.metadata.uid, refusedBy);
    }
  }

  /** Keeps room for the pod there, or nowhere. What was kept for it elsewhere others may have. */
  function nominate(pod: Pod, node: string | undefined): void {
    const { uid } = pod.metadata;
    const kept = state.nominationOf(uid);
    state.nominate(uid, node === undefined ? undefined : pod, node);
    if (kept !== undefined && kept !== node) notice({ type: 'PodDelete', before: pod, node: kept });
  }

  /** What extenders leave of it. Without their answer nobody ends; the pod waits. */
  async function wayOut(pod: Pod, found: Preemption): Promise<Preemption | undefined> {
    try {
      return await extenders!.preempt(pod, found, signal);
    } catch (error) {
      if (!signal.aborted) log.warn('an extender failed; nobody is preempted', { pod: pod.metadata.name, error });
      return undefined;
    }
  }

  const refusedAt = (node: string, refusal: NodeRefusal): Decision & { outcome: 'unschedulable' } => {
    const refusals = new Map([[node, refusal]]);
    const message = summaryOf(1, new Map([[refusal, 1]]));
    const refusedBy = new Set([refusal.plugin]);
    return { outcome: 'unschedulable', message, refusals, refusedBy, examined: 1, feasible: 0, nextStart: 0 };
  };

  /** Permit: all of them approve, one refuses, or the time is over. */
  async function permitted(pod: Pod, node: string, rules: Profile): Promise<NodeRefusal | undefined> {
    for (const plugin of rules.plugins) {
      if (!plugin.permit) continue;
      const bounded = AbortSignal.any([signal, AbortSignal.timeout(options.bindTimeoutMs ?? 60_000)]);
      const refusal = await awaited(plugin, 'permit', () => plugin.permit!(pod, node, bounded));
      if (refusal) return { ...refusal, plugin: plugin.name };
    }
    return undefined;
  }

  async function bind(pod: Pod, node: string, rules: Profile, enqueuedAt: number): Promise<void> {
    let sent = false;
    try {
      const waits = rules.plugins.some(plugin => plugin.permit);
      const refusal = waits ? await permitted(pod, node, rules) : undefined;
      if (refusal) {
        undo(pod, node, rules);
        return await refuse(pod, refusedAt(node, refusal));
      }
      await slots.take();
      try {
        await bindNow(pod, node, rules, () => {
          sent = true;
        });
      } finally {
        slots.give();
      }
      bound(pod, node, rules, enqueuedAt);
    } catch (error) {
      // Whoever asked and got no clear answer may have a bound pod: its room must not be given away before that is known.
      if (sent && (await writer.isBound(pod, node, options.bindTimeoutMs ?? 60_000))) {
        bound(pod, node, rules, enqueuedAt);
        return;
      }
      undo(pod, node, rules);
      if (signal.aborted) return;
      attempts.inc({ result: 'error' });
      // Gone: the informer tells.
      if (isNotFound(error)) return queue.done(pod.metadata.uid);
      // Another scheduler was faster, or the pod was made anew under its name: what is true comes through the informer.
      if (!isConflict(error)) {
        log.warn('binding failed; the pod will be decided again', { pod: pod.metadata.name, node, error });
        const text = error instanceof Error ? error.message : String(error);
        events.failed(pod, `binding to ${node} failed: ${text}`);
      }
      queue.retry(pod.metadata.uid);
    }
  }

  function bound(pod: Pod, node: string, rules: Profile, enqueuedAt: number): void {
    queue.done(pod.metadata.uid);
    for (const plugin of rules.plugins) told(plugin, pod, node);
    attempts.inc({ result: 'scheduled' });
    duration.observe((clock.now() - enqueuedAt) / 1000);
    events.scheduled(pod, node);
  }

  /** The pod is bound whatever a plugin makes of it. */
  function told(plugin: Plugin, pod: Pod, node: string): void {
    try {
      asked(plugin, 'postBind', () => plugin.postBind?.(pod, node));
    } catch (error) {
      log.warn('a plugin failed after a binding', { pod: pod.metadata.name, node, error });
    }
  }

  async function bindNow(pod: Pod, node: string, rules: Profile, sending: () => void): Promise<void> {
    // The default way needs no timer of its own: the client's requests are bounded.
    const own = extenders?.binds(pod) || rules.plugins.some(plugin => plugin.preBind || plugin.bind);
    if (!own) {
      sending();
      return writer.bind(pod, node, signal);
    }
    const { namespace, name } = pod.metadata;
    const bounded = boundedSignal(clock, signal, options.bindTimeoutMs ?? 60_000, `binding ${namespace}/${name}`);
    try {
      for (const plugin of rules.plugins)
        if (plugin.preBind) await awaited(plugin, 'preBind', () => plugin.preBind!(pod, node, bounded.signal));
      sending();
      if (await extenders?.bind(pod, node, bounded.signal)) return;
      for (const plugin of rules.plugins)
        if (plugin.bind && (await awaited(plugin, 'bind', () => plugin.bind!(pod, node, bounded.signal)))) return;
      await writer.bind(pod, node, bounded.signal);
    } finally {
      bounded.done();
    }
  }

  function undo(pod: Pod, node: string, rules: Profile): void {
    state.forget(pod.metadata.uid);
    rollback(pod, node, rules);
    notice({ type: 'PodDelete', before: pod, node });
  }

  function track(doing: Promise<void>): void {
    const tracked = doing
      .catch(error => {
        if (!signal.aborted) log.error('scheduling failed', { error });
      })
      .finally(() => work.delete(tracked));
    work.add(tracked);
  }

  const starts = new Map<Profile, number>();
  function decide(pod: Pod, enqueuedAt: number): void {
    const rules = profileOf(pod);
    if (!rules) {
      queue.done(pod.metadata.uid);
      return;
    }
    if (extenders?.decides(pod)) {
      track(decideWithExtenders(pod, rules, enqueuedAt));
      return;
    }
    const detail = state.order.length <= detailedNodes ? 'full' : 'choice';
    const decision = schedule(pod, state, rules, { start: starts.get(rules) ?? 0, detail });
    starts.set(rules, decision.nextStart);
    settle(pod, decision, rules, enqueuedAt);
  }

  /**
   * Plugins, then extenders with what the plugins left, then the plugins again among what the extenders left: others were placed meanwhile. A pod
   * whose room went to them is decided again.
   */
  async function decideWithExtenders(pod: Pod, rules: Profile, enqueuedAt: number): Promise<void> {
    const { uid } = pod.metadata;
    await consultations.take();
    try {
      let first = schedule(pod, state, rules, { start: starts.get(rules) ?? 0 });
      starts.set(rules, first.nextStart);
      if (first.outcome === 'unschedulable') return settle(pod, first, rules, enqueuedAt);
      let verdict = await extenders!.consult(pod, feasibleOf(first), signal);
      if (verdict.nodes.size === 0 && pod.status.nominatedNodeName === first.node) {
        // The nominated node alone was asked about.
        first = schedule(pod, state, rules, { ignoreNomination: true });
        if (first.outcome === 'placed') verdict = await extenders!.consult(pod, feasibleOf(first), signal);
      }
      // Gone, or bound by another.
      if (!queue.has(uid)) return;
      const decision = schedule(pod, state, rules, { extended: verdict });
      if (decision.outcome === 'unschedulable' && verdict.nodes.size > 0) {
        queue.retry(uid);
        return;
      }
      settle(pod, decision, rules, enqueuedAt);
    } catch (error) {
      if (!signal.aborted) failed(pod, error, 'an extender or a plugin failed');
    } finally {
      consultations.give();
    }
  }

  function feasibleOf(decision: Decision & { outcome: 'placed' }): NodeInfo[] {
    const names = decision.scores.length > 0 ? decision.scores.map(({ node }) => node) : [decision.node];
    return names.flatMap(name => state.get(name) ?? []);
  }

  function failed(pod: Pod, error: unknown, what: string): void {
    attempts.inc({ result: 'error' });
    log.error(`${what}; the pod will be decided again`, { pod: pod.metadata.name, error });
    const text = error instanceof Error ? error.message : String(error);
    events.failed(pod, `${what}: ${text}`);
    queue.retry(pod.metadata.uid);
  }

  function settle(pod: Pod, decision: Decision, rules: Profile, enqueuedAt: number): void {
    decisions.add(pod, decision, clock.now());
    if (decision.outcome === 'unschedulable') {
      track(refuse(pod, decision));
      return;
    }
    const refusal = commit(pod, decision.node, rules);
    if (refusal) {
      track(refuse(pod, refusedAt(decision.node, refusal)));
      return;
    }
    const kept = state.nominationOf(pod.metadata.uid);
    state.assume(pod, decision.node);
    if (kept !== undefined && kept !== decision.node) notice({ type: 'PodDelete', before: pod, node: kept });
    track(bind(pod, decision.node, rules, enqueuedAt));
  }

  async function loop(): Promise<void> {
    await cluster.synced();
    context.ready();
    if (options.tellDecisions) {
      const scheduler = first.schedulerName;
      const answer = answersOf({ scheduler, clock, decisions, state, profileOf });
      track(talkAboutDecisions({ client, clock, log, signal, scheduler, answer }));
    }
    for (;;) {
      await slots.free();
      await consultations.free();
      const next = await queue.pop(signal);
      if (!next) return;
      const { pod, enqueuedAt } = next;
      try {
        decide(pod, enqueuedAt);
      } catch (error) {
        failed(pod, error, 'deciding failed');
      }
    }
  }

  try {
    await loop();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    for (const forget of forgetListeners) forget();
    await Promise.allSettled([...work]);
    await extenders?.close();
    await cluster.ended;
    await events.flush();
  }
}
