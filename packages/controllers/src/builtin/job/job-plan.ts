/**
 * What a Job needs next, as a pure function of the Job, its pods and the time: which status to write, which pods to make and to delete,
 * and of which pods the end is safely counted, so that they may be let go.
 *
 * - Each end of a pod is counted once: its uid is first written to `uncountedTerminatedPods` (an Indexed success to `completedIndexes`), then
 *   the pod loses its tracking finalizer, then the uid becomes a number. A crash in between repeats a step, never a count.
 * - Pods that fail are replaced after 10 s, doubled with each failure since the last success, up to 10 minutes; of an Indexed Job with
 *   `backoffLimitPerIndex` each index by itself. How often is read from the pods that are still there, so a restart forgets nothing.
 * - A Job that has failed or succeeded says so at once (`FailureTarget`, `SuccessCriteriaMet`); `Failed` or `Complete` come when its last pod is gone.
 *
 * Source of the rules and constants: kube-controller-manager `job_controller.go` (1.33), KEP-2307, KEP-3329, KEP-3850, KEP-3939, KEP-3998.
 */
import { type batchv1, findCondition, formatTime, isDeleting, type Job, parseTime, setCondition } from '@orbitkit/core';
import { mutableCopy } from '@orbitkit/informer';
import { isActive, isPodReady, type PodView } from '../../pods/pod-state.js';
import { failureVerdict } from './failure-policy.js';
import { formatIndexes, parseIndexes } from './indexes.js';
import { completionIndexOf, earlierFailures, endOf, isIndexed, isTracked, type JobView } from './job-pods.js';

type Status = batchv1.JobStatus;
type Condition = batchv1.JobCondition;

export interface JobPlan {
  status: Status;
  /** Pods to make: the index for an Indexed Job, and how often it failed before. */
  create: { index: number | undefined; failures: number }[];
  delete: PodView[];
  /** Pods whose end the STORED status holds: their finalizer may go. */
  release: PodView[];
  /** Look again then, even if nothing happens. */
  recheckMs?: number;
}

/** `DefaultJobPodFailureBackOff`, `MaxJobPodFailureBackOff`. */
const firstBackoffMs = 10_000;
const longestBackoffMs = 600_000;
/** `MaxUncountedPods`, and pods made in one round (`MaxPodCreateDeletePerSync`). */
const mostPerRound = 500;

export const isFinished = (job: JobView): boolean =>
  ['Complete', 'Failed'].some(type => findCondition(job.status.conditions, type)?.status === 'True');

/** @param mayAct False while the cache does not show the last round's pods: then only what happened is counted. */
export function planJob(job: JobView, pods: readonly PodView[], now: number, mayAct = true): JobPlan {
  return new Planner(job, pods, now, mayAct).plan();
}

class Planner {
  readonly #job: JobView;
  readonly #pods: readonly PodView[];
  readonly #now: number;
  readonly #mayAct: boolean;
  readonly #status: Status;
  readonly #completions: number;
  /** Indexes are counted apart from each other. */
  readonly #perIndex: boolean;
  readonly #replaceFailedOnly: boolean;
  readonly #succeededIndexes: Set<number>;
  readonly #failedIndexes: Set<number>;
  #recheckMs: number | undefined;

  constructor(job: JobView, pods: readonly PodView[], now: number, mayAct: boolean) {
    this.#job = job;
    this.#pods = pods;
    this.#now = now;
    this.#mayAct = mayAct;
    this.#status = mutableCopy<Job['status']>(job.status);
    this.#completions = isIndexed(job) ? (job.spec.completions ?? 0) : Number.POSITIVE_INFINITY;
    this.#perIndex = isIndexed(job) && job.spec.backoffLimitPerIndex !== undefined;
    this.#replaceFailedOnly = job.spec.podReplacementPolicy === 'Failed' || job.spec.podFailurePolicy !== undefined;
    this.#succeededIndexes = parseIndexes(job.status.completedIndexes, this.#completions);
    this.#failedIndexes = parseIndexes(job.status.failedIndexes, this.#completions);
  }

  plan(): JobPlan {
    const job = this.#job;
    if (isFinished(job)) return { status: this.#status, create: [], delete: [], release: this.#pods.filter(isTracked) };
    const { spec } = job;
    const status = this.#status;
    const active = this.#pods.filter(isActive);
    const terminating = this.#pods.filter(pod => isDeleting(pod) && !isOver(pod));

    this.#startOrSuspend();
    const release = this.#count();
    const failure = this.#failureOf(active);
    const success = failure ? undefined : this.#successOf(active);
    const decided = failure ?? success;
    if (failure) this.#set('FailureTarget', failure.reason, failure.message);
    if (success) this.#set('SuccessCriteriaMet', success.reason, success.message);

    let remove: PodView[] = [];
    let create: JobPlan['create'] = [];
    if (decided || spec.suspend) remove = active;
    else if (this.#mayAct && !isDeleting(job)) ({ create, remove } = this.#scale(active, terminating));

    status.active = active.length - remove.length;
    status.ready = active.filter(isPodReady).length;
    status.terminating = terminating.length + remove.length;
    if (decided && active.length + terminating.length === 0 && this.#allCounted()) {
      status.active = status.ready = 0;
      this.#set(failure ? 'Failed' : 'Complete', decided.reason, decided.message);
      if (!failure) status.completionTime = formatTime(this.#now);
      delete status.uncountedTerminatedPods;
    }
    return {
      status,
      create,
      delete: remove,
      release,
      ...(this.#recheckMs === undefined ? {} : { recheckMs: this.#recheckMs }),
    };
  }

  #startOrSuspend(): void {
    const { spec } = this.#job;
    const status = this.#status;
    const suspended = findCondition(status.conditions, 'Suspended')?.status === 'True';
    if (spec.suspend) {
      if (!suspended) this.#set('Suspended', 'JobSuspended', 'Job suspended');
      return;
    }
    // What has been suspended starts anew, and with it its deadline.
    if (suspended) {
      this.#set('Suspended', 'JobResumed', 'Job resumed', 'False');
      delete status.startTime;
    }
    status.startTime ??= formatTime(this.#now);
  }

  /** Moves the ends of pods a step on their way into the counters. Returns the pods that the stored status has already noted. */
  #count(): PodView[] {
    const { spec } = this.#job;
    const status = this.#status;
    const byUid = new Map(this.#pods.map(pod => [pod.metadata.uid, pod]));
    const stored = this.#job.status.uncountedTerminatedPods;
    const noted = new Set([...(stored?.succeeded ?? []), ...(stored?.failed ?? [])]);
    const counted = (uid: string) => {
      const pod = byUid.get(uid);
      return pod === undefined || !isTracked(pod);
    };
    const wait = { succeeded: [] as string[], failed: [] as string[] };
    for (const what of ['succeeded', 'failed'] as const) {
      for (const uid of stored?.[what] ?? []) {
        if (counted(uid)) status[what] = (status[what] ?? 0) + 1;
        else wait[what].push(uid);
      }
    }
    const release: PodView[] = [];
    const kept = this.#keptForTheirFailures();
    for (const pod of this.#pods) {
      if (!isTracked(pod)) continue;
      const { uid } = pod.metadata;
      if (noted.has(uid)) {
        release.push(pod);
        continue;
      }
      if (wait.succeeded.length + wait.failed.length >= mostPerRound) break;
      if (pod.status.phase === 'Succeeded') {
        const index = completionIndexOf(pod, this.#completions);
        if (!isIndexed(this.#job)) wait.succeeded.push(uid);
        else if (index === undefined || parseIndexes(this.#job.status.completedIndexes, this.#completions).has(index))
          release.push(pod);
        else this.#succeededIndexes.add(index);
      } else if (this.#hasFailed(pod) && !kept.has(uid)) {
        const { action } = failureVerdict(spec.podFailurePolicy, pod);
        const index = completionIndexOf(pod, this.#completions);
        if (action === 'FailIndex' && this.#perIndex && index !== undefined) this.#failedIndexes.add(index);
        if (action === 'Ignore') release.push(pod);
        else wait.failed.push(uid);
      }
    }
    if (this.#perIndex) {
      for (const pod of this.#pods) {
        const index = completionIndexOf(pod, this.#completions);
        if (
          index === undefined ||
          !this.#hasFailed(pod) ||
          failureVerdict(spec.podFailurePolicy, pod).action === 'Ignore'
        )
          continue;
        if (earlierFailures(pod) >= spec.backoffLimitPerIndex!) this.#failedIndexes.add(index);
      }
      for (const index of this.#succeededIndexes) this.#failedIndexes.delete(index);
      status.failedIndexes = formatIndexes(this.#failedIndexes);
    }
    if (isIndexed(this.#job)) {
      status.completedIndexes = formatIndexes(this.#succeededIndexes);
      status.succeeded = this.#succeededIndexes.size;
      if (status.completedIndexes === '') delete status.completedIndexes;
    }
    status.uncountedTerminatedPods = {
      ...(wait.succeeded.length > 0 ? { succeeded: wait.succeeded } : {}),
      ...(wait.failed.length > 0 ? { failed: wait.failed } : {}),
    };
    return release;
  }

  /** The last failed pod of an index carries its number of failures, so it stays until its successor is there. */
  #keptForTheirFailures(): Set<string> {
    const kept = new Set<string>();
    if (!this.#perIndex || this.#isDecided() || this.#job.spec.suspend) return kept;
    const last = new Map<number, PodView>();
    for (const pod of this.#pods) {
      const index = completionIndexOf(pod, this.#completions);
      if (index === undefined || this.#failedIndexes.has(index) || this.#succeededIndexes.has(index)) continue;
      const before = last.get(index);
      if (!before || earlierFailures(pod) > earlierFailures(before)) last.set(index, pod);
    }
    for (const pod of last.values()) {
      const fails = this.#hasFailed(pod) && earlierFailures(pod) < this.#job.spec.backoffLimitPerIndex!;
      if (fails && failureVerdict(this.#job.spec.podFailurePolicy, pod).action !== 'FailIndex')
        kept.add(pod.metadata.uid);
    }
    return kept;
  }

  #hasFailed(pod: PodView): boolean {
    if (pod.status.phase === 'Failed') return true;
    return !this.#replaceFailedOnly && isDeleting(pod) && pod.status.phase !== 'Succeeded';
  }

  #isDecided(): boolean {
    return ['FailureTarget', 'SuccessCriteriaMet'].some(
      type => findCondition(this.#status.conditions, type)?.status === 'True',
    );
  }

  #failureOf(active: readonly PodView[]): { reason: string; message: string } | undefined {
    const { spec } = this.#job;
    const status = this.#status;
    const target = findCondition(status.conditions, 'FailureTarget');
    if (target?.status === 'True') return { reason: target.reason ?? '', message: target.message ?? '' };
    if (findCondition(status.conditions, 'SuccessCriteriaMet')?.status === 'True') return undefined;
    for (const pod of this.#pods) {
      if (pod.status.phase !== 'Failed') continue;
      const { action, message } = failureVerdict(spec.podFailurePolicy, pod);
      if (action === 'FailJob') return { reason: 'PodFailurePolicy', message: message! };
    }
    const failed = (status.failed ?? 0) + (status.uncountedTerminatedPods?.failed?.length ?? 0);
    const limit = spec.backoffLimit ?? 6;
    if (failed > limit || restartedTooOften(this.#job, active, limit))
      return { reason: 'BackoffLimitExceeded', message: 'Job has reached the specified backoff limit' };
    const started = parseTime(status.startTime);
    if (spec.activeDeadlineSeconds !== undefined && started !== undefined && !spec.suspend) {
      const left = started + spec.activeDeadlineSeconds * 1000 - this.#now;
      if (left <= 0) return { reason: 'DeadlineExceeded', message: 'Job was active longer than specified deadline' };
      this.#lookAgainIn(left);
    }
    if (!this.#perIndex) return undefined;
    if (spec.maxFailedIndexes !== undefined && this.#failedIndexes.size > spec.maxFailedIndexes)
      return {
        reason: 'MaxFailedIndexesExceeded',
        message: 'Job has exceeded the specified maximal number of failed indexes',
      };
    if (this.#failedIndexes.size > 0 && this.#failedIndexes.size + this.#succeededIndexes.size >= this.#completions)
      return { reason: 'FailedIndexes', message: 'Job has failed indexes' };
    return undefined;
  }

  #successOf(active: readonly PodView[]): { reason: string; message: string } | undefined {
    const { spec } = this.#job;
    const met = findCondition(this.#status.conditions, 'SuccessCriteriaMet');
    if (met?.status === 'True') return { reason: met.reason ?? '', message: met.message ?? '' };
    for (const [at, { succeededIndexes, succeededCount }] of (spec.successPolicy?.rules ?? []).entries()) {
      const wanted = succeededIndexes === undefined ? undefined : parseIndexes(succeededIndexes, this.#completions);
      const have = wanted
        ? [...wanted].filter(index => this.#succeededIndexes.has(index)).length
        : this.#succeededIndexes.size;
      const enough = succeededCount ?? wanted?.size;
      if (enough !== undefined && have >= enough)
        return { reason: 'SuccessPolicy', message: `Matched rules at index ${at}` };
    }
    const succeeded = this.#succeeded();
    const complete =
      spec.completions === undefined ? succeeded > 0 && active.length === 0 : succeeded >= spec.completions;
    if (!complete || (spec.suspend && spec.completions === undefined)) return undefined;
    return { reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' };
  }

  #succeeded(): number {
    return (this.#status.succeeded ?? 0) + (this.#status.uncountedTerminatedPods?.succeeded?.length ?? 0);
  }

  #allCounted(): boolean {
    const { succeeded = [], failed = [] } = this.#status.uncountedTerminatedPods ?? {};
    return succeeded.length + failed.length === 0;
  }

  #scale(
    active: readonly PodView[],
    terminating: readonly PodView[],
  ): { create: JobPlan['create']; remove: PodView[] } {
    const { completions, parallelism = 1 } = this.#job.spec;
    const succeeded = this.#succeeded();
    const left =
      completions === undefined
        ? succeeded > 0
          ? active.length
          : parallelism
        : completions - succeeded - this.#failedIndexes.size;
    const wanted = Math.max(0, Math.min(left, parallelism));
    const { surplus, free } = this.#indexes(active, this.#replaceFailedOnly ? terminating : []);
    const usable = active.filter(pod => !surplus.includes(pod));
    if (usable.length > wanted)
      return { create: [], remove: [...surplus, ...leastUseful(usable).slice(0, usable.length - wanted)] };
    const missing = wanted - usable.length - (this.#replaceFailedOnly ? terminating.length : 0);
    const create: JobPlan['create'] = [];
    const waiting = this.#perIndex ? 0 : this.#backoffMs(this.#pods);
    if (missing > 0 && waiting > 0) this.#lookAgainIn(waiting);
    for (const index of free) {
      if (create.length >= Math.min(missing, mostPerRound) || waiting > 0) break;
      const failures = index === undefined ? [] : this.#failuresAt(index);
      const later = this.#perIndex && failures.length > 0 ? this.#backoffMs(failures) : 0;
      if (later > 0) this.#lookAgainIn(later);
      else create.push({ index, failures: Math.max(0, ...failures.map(pod => earlierFailures(pod) + 1)) });
    }
    return { create, remove: surplus };
  }

  /** Which pods are second at their index, and for what pods are to be made, in order. */
  #indexes(
    active: readonly PodView[],
    blocking: readonly PodView[],
  ): { surplus: PodView[]; free: Iterable<number | undefined> } {
    if (!isIndexed(this.#job)) return { surplus: [], free: endless() };
    const taken = new Set<number>();
    const surplus: PodView[] = [];
    for (const pod of active) {
      const index = completionIndexOf(pod, this.#completions);
      if (
        index === undefined ||
        taken.has(index) ||
        this.#succeededIndexes.has(index) ||
        this.#failedIndexes.has(index)
      )
        surplus.push(pod);
      else taken.add(index);
    }
    for (const pod of blocking) taken.add(completionIndexOf(pod, this.#completions) ?? -1);
    const free: number[] = [];
    for (let index = 0; index < this.#completions && free.length < mostPerRound; index++)
      if (!taken.has(index) && !this.#succeededIndexes.has(index) && !this.#failedIndexes.has(index)) free.push(index);
    return { surplus, free };
  }

  #failuresAt(index: number): PodView[] {
    return this.#pods.filter(pod => completionIndexOf(pod, this.#completions) === index && this.#hasFailed(pod));
  }

  /** Milliseconds until a failed pod among these may be replaced. */
  #backoffMs(pods: readonly PodView[]): number {
    const ends = (wanted: readonly PodView[]) => wanted.map(endOf).filter(end => end !== undefined);
    const lastSuccess = Math.max(
      ...ends(pods.filter(pod => pod.status.phase === 'Succeeded')),
      Number.NEGATIVE_INFINITY,
    );
    const failures = ends(pods.filter(pod => pod.status.phase === 'Failed')).filter(end => end > lastSuccess);
    if (failures.length === 0) return 0;
    const backoff = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (failures.length - 1));
    return Math.max(0, Math.max(...failures) + backoff - this.#now);
  }

  #lookAgainIn(ms: number): void {
    this.#recheckMs = Math.min(this.#recheckMs ?? Number.POSITIVE_INFINITY, ms);
  }

  #set(type: string, reason: string, message: string, status: 'True' | 'False' = 'True'): void {
    const lastProbeTime = formatTime(this.#now);
    const known = findCondition(this.#status.conditions, type);
    if (known?.status === status && known.reason === reason && known.message === message) return;
    const condition = { type, status, reason, message, lastProbeTime, lastTransitionTime: lastProbeTime } as Condition;
    this.#status.conditions = setCondition<Condition>(this.#status.conditions, condition, this.#now) as Condition[];
  }
}

const isOver = (pod: PodView): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';

/** Pods that restart in place fail the Job by the sum of their restarts. */
function restartedTooOften(job: JobView, active: readonly PodView[], limit: number): boolean {
  if (job.spec.template.spec?.restartPolicy !== 'OnFailure') return false;
  let restarts = 0;
  for (const pod of active) {
    if (pod.status.phase !== 'Running' && pod.status.phase !== 'Pending') continue;
    for (const status of [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])])
      restarts += status.restartCount ?? 0;
  }
  return limit === 0 ? restarts > 0 : restarts >= limit;
}

/** Pods that have come least far first. */
function leastUseful(pods: readonly PodView[]): PodView[] {
  const rank = (pod: PodView) =>
    pod.spec.nodeName ? (pod.status.phase === 'Running' ? (isPodReady(pod) ? 3 : 2) : 1) : 0;
  const born = (pod: PodView) => parseTime(pod.metadata.creationTimestamp) ?? 0;
  return [...pods].sort((a, b) => rank(a) - rank(b) || born(b) - born(a));
}

function* endless(): Generator<undefined> {
  for (;;) yield undefined;
}
