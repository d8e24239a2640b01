/** A role's time as a member: ready once it has joined, until it is stopped; then it leaves first, and lets go of the rest after that. */
import type { ComponentContext } from '@orbitkit/core';
import type { Members } from './members.js';

export interface MemberLife {
  /** Called after each change of the membership, and once before the role is ready. */
  onChange?(): void;
  /** What the role does besides answering. Default: nothing, until the signal aborts. */
  work?(): Promise<unknown>;
  /** After it has left. */
  release(): Promise<void>;
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** Resolves when the signal aborts. @throws what broke the role before that. */
export async function liveAsMember(
  members: Members,
  { signal, ready }: Pick<ComponentContext, 'signal' | 'ready'>,
  life: MemberLife,
): Promise<void> {
  try {
    await members.joined;
    if (life.onChange) members.onChange(() => life.onChange?.());
    ready();
    await (life.work?.() ?? untilAborted(signal));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await members.close();
    await life.release();
  }
}
