/**
 * The decision: from the pod that is wanted and what the runtime has, to what must be done next. Pure, so that every state has a
 * row in a table of tests; whoever carries it out may be killed anywhere and ask again.
 *
 * Order, as upstream (`computePodActions`): a ready sandbox; init containers one after the other, sidecars among them until they
 * have started; then all containers together. A container that ended is restarted as the pod's policy says, after its back-off;
 * one whose image changed, or that its probes gave up on, is stopped first. With a new sandbox the init containers run again.
 * What runs and is as wanted is left alone. Ephemeral containers run beside all of this, once each, and decide nothing.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { labels } from '../agent/labels.js';
import type { ContainerStatus } from '../runtime/contract.js';
import {
  containersOf,
  ephemeralOf,
  isSidecar,
  latestOf,
  type PodState,
  previousOf,
  readySandbox,
  restartCountOf,
  specHashOf,
  statusesOf,
} from './pod-state.js';

export type Verdict = 'liveness' | 'startup' | undefined;

export interface PlanInput {
  pod: Pod;
  state: PodState;
  /** Containers that are being started or stopped: nothing new is begun for them. */
  busy: ReadonlySet<string>;
  /** Which probe has given up on a running container. */
  verdict(container: ContainerStatus): Verdict;
  /** Its startup probe and postStart hook are through. */
  hasStarted(container: ContainerStatus): boolean;
  /** It was stopped in order to be started again, whatever the policy says. */
  mustRestart(container: ContainerStatus): boolean;
  /** Milliseconds until this container may be started (again); 0 for now. `last` is its ended predecessor. */
  waitOf(name: string, last: ContainerStatus | undefined): number;
}

export interface Start {
  container: corev1.Container;
  type: 'init' | 'sidecar' | 'app' | 'ephemeral';
  /** Also the restart count. */
  attempt: number;
  /** The one that ended before it. */
  last?: ContainerStatus;
}

export interface Stop {
  container: ContainerStatus;
  spec?: corev1.Container;
  /** What the event says. */
  message: string;
  /** To be started again: the image changed, or a probe gave up. */
  restart: boolean;
  verdict?: Verdict;
}

export interface Plan {
  createSandbox: boolean;
  start: Start[];
  stop: Stop[];
  /** Ended containers that nobody needs any more. */
  removeContainers: ContainerStatus[];
  removeSandboxes: string[];
  /** Nothing runs, nothing will: the pod is through. */
  finished?: 'Succeeded' | 'Failed';
  /** Milliseconds until something is due that no event will announce. */
  wakeInMs?: number;
}

const succeeded = (container: ContainerStatus): boolean => container.state === 'exited' && container.exitCode === 0;

/** Whether the pod's policy wants a container that ended to run again. */
export function wantsRestart(pod: Pod, ended: ContainerStatus): boolean {
  const policy = pod.spec.restartPolicy ?? 'Always';
  return policy === 'Always' || (policy === 'OnFailure' && !succeeded(ended));
}

export function planOf(input: PlanInput): Plan {
  const { pod, state } = input;
  const sandbox = readySandbox(state);
  const plan: Plan = { createSandbox: false, start: [], stop: [], ...garbageOf(input) };

  const outcome = outcomeOf(input);
  if (outcome) return { ...plan, finished: outcome };

  for (const container of state.containers) {
    if (container.state === 'running' && container.sandboxId !== sandbox?.id && !input.busy.has(container.name)) {
      plan.stop.push({
        container,
        message: `Stopping container ${container.name}: its sandbox is gone`,
        restart: true,
      });
    }
  }
  if (!sandbox) return { ...plan, createSandbox: true };

  for (const container of ephemeralOf(pod)) planEphemeral(input, container, plan);
  const initialized = planInit(input, sandbox.id, plan);
  if (initialized) for (const container of pod.spec.containers) planContainer(input, container, 'app', plan);
  return plan;
}

/** @returns whether the app containers may run. */
function planInit(input: PlanInput, sandboxId: string, plan: Plan): boolean {
  const { pod, state } = input;
  const appsBegan = pod.spec.containers.some(({ name }) => latestOf(state, name)?.sandboxId === sandboxId);
  for (const container of pod.spec.initContainers ?? []) {
    const latest = latestOf(state, container.name);
    const here = latest?.sandboxId === sandboxId ? latest : undefined;
    if (isSidecar(container)) {
      planContainer(input, container, 'sidecar', plan);
      const started = here?.state === 'running' && !input.busy.has(container.name) && input.hasStarted(here);
      if (!started && !appsBegan) return false;
      continue;
    }
    if (appsBegan || (here && succeeded(here))) continue;
    planContainer(input, container, 'init', plan);
    return false;
  }
  return true;
}

/** Also before the pod is initialized: what holds that up may be what one wants to look at. */
function planEphemeral(input: PlanInput, container: corev1.Container, plan: Plan): void {
  const { pod, state, busy } = input;
  if (busy.has(container.name)) return;
  const latest = latestOf(state, container.name);
  const known = statusesOf(pod).find(({ name }) => name === container.name)?.state;
  if (latest ? latest.state !== 'created' : known?.running || known?.terminated) return;
  const wait = input.waitOf(container.name, undefined);
  if (wait > 0) {
    plan.wakeInMs = Math.min(wait, plan.wakeInMs ?? wait);
    return;
  }
  if (latest) plan.removeContainers.push(latest);
  plan.start.push({ container, type: 'ephemeral', attempt: 0 });
}

function planContainer(input: PlanInput, container: corev1.Container, type: Start['type'], plan: Plan): void {
  const { pod, state, busy } = input;
  if (busy.has(container.name)) return;
  const latest = latestOf(state, container.name);
  const sandboxId = state.sandboxes[0]!.id;

  if (latest?.state === 'running') {
    // Of a sandbox that is gone: its stop is planned already.
    if (latest.sandboxId !== sandboxId) return;
    const verdict = input.verdict(latest);
    if (latest.labels[labels.specHash] !== specHashOf(container)) {
      const message = `Container ${container.name} definition changed, will be restarted`;
      plan.stop.push({ container: latest, spec: container, message, restart: true });
    } else if (verdict) {
      const restart = type === 'sidecar' || pod.spec.restartPolicy !== 'Never';
      const message = `Container ${container.name} failed ${verdict} probe, will be ${restart ? 'restarted' : 'stopped'}`;
      plan.stop.push({ container: latest, spec: container, message, restart, verdict });
    }
    return;
  }
  if (latest?.state === 'unknown') {
    const message = `Container ${container.name} is in an unknown state, will be restarted`;
    plan.stop.push({ container: latest, spec: container, message, restart: true });
    return;
  }
  const ended = latest?.state === 'exited' ? latest : latest && previousOf(state, container.name);
  if (latest?.state === 'exited' && !mayRunAgain(input, latest, type, sandboxId)) return;
  const wait = input.waitOf(container.name, ended);
  if (wait > 0) {
    plan.wakeInMs = Math.min(wait, plan.wakeInMs ?? wait);
    return;
  }
  // Made but never started: the agent was stopped in between. The runtime refuses the same attempt twice.
  if (latest?.state === 'created') plan.removeContainers.push(latest);
  const attempt = ended
    ? restartCountOf(ended) + 1
    : latest
      ? restartCountOf(latest)
      : countInStatus(pod, container.name);
  plan.start.push({ container, type, attempt, ...(ended ? { last: ended } : {}) });
}

function mayRunAgain(input: PlanInput, ended: ContainerStatus, type: Start['type'], sandboxId: string): boolean {
  if (type === 'sidecar' || input.mustRestart(ended)) return true;
  // A new sandbox runs its init containers anew, also those that ended well in the old one.
  if (type === 'init' && ended.sandboxId !== sandboxId) return true;
  return wantsRestart(input.pod, ended);
}

/** The runtime has lost the containers (a reboot): the count goes on from what the API remembers. */
function countInStatus(pod: Pod, name: string): number {
  const known = statusesOf(pod).find(status => status.name === name);
  if (!known) return 0;
  // Waiting after an end: that end is the one that the count belongs to.
  const ran = known.state?.running ?? known.state?.terminated ?? known.lastState?.terminated;
  return known.restartCount + (ran === undefined ? 0 : 1);
}

function outcomeOf({ pod, state, busy, mustRestart }: PlanInput): Plan['finished'] {
  const policy = pod.spec.restartPolicy ?? 'Always';
  if (policy === 'Always') return undefined;
  const sandbox = state.sandboxes[0];
  if (!sandbox) return undefined;
  const apps = pod.spec.containers.map(({ name }) => latestOf(state, name));
  if ([...busy].some(name => pod.spec.containers.some(container => container.name === name))) return undefined;
  if (apps.some(app => app?.state === 'running' || app?.state === 'unknown')) return undefined;

  if (policy === 'Never') {
    for (const container of pod.spec.initContainers ?? []) {
      if (isSidecar(container) || busy.has(container.name)) continue;
      const latest = latestOf(state, container.name);
      if (latest?.sandboxId === sandbox.id && latest.state === 'exited' && !succeeded(latest)) return 'Failed';
    }
    // Its sandbox is gone and something of it has run: it must not run twice.
    const ran = state.containers.some(({ state: its }) => its === 'exited');
    if (sandbox.state !== 'ready' && ran && apps.some(app => app === undefined)) return 'Failed';
  }
  const ended = apps.filter(app => app?.state === 'exited') as ContainerStatus[];
  if (ended.length < pod.spec.containers.length) return undefined;
  if (ended.some(app => mustRestart(app) || wantsRestart(pod, app))) return undefined;
  return ended.every(succeeded) ? 'Succeeded' : 'Failed';
}

/** The latest of each name stays, and the one before it for `logs --previous`; a sandbox stays while one of them is in it. */
function garbageOf({ pod, state, busy }: PlanInput): Pick<Plan, 'removeContainers' | 'removeSandboxes'> {
  const kept = new Set<ContainerStatus>();
  for (const { name } of containersOf(pod)) {
    for (const container of [latestOf(state, name), previousOf(state, name)]) if (container) kept.add(container);
  }
  const removeContainers = state.containers.filter(
    container => container.state === 'exited' && !kept.has(container) && !busy.has(container.name),
  );
  const removeSandboxes = state.sandboxes
    .slice(1)
    .filter(
      ({ id }) =>
        !state.containers.some(container => container.sandboxId === id && !removeContainers.includes(container)),
    )
    .map(({ id }) => id);
  return { removeContainers, removeSandboxes };
}
