/**
 * The scheduler's side of `scheduling.orbitkit.dev/v1`: keeps one request open at the API server, and answers what comes back. A cluster that does not serve
 * the kind, or does not let this scheduler, is asked again each minute; what fails otherwise, after 1 s to 30 s.
 */
import { randomUUID } from 'node:crypto';
import { type Client, type Clock, type DynamicObject, isForbidden, isNotFound, type Logger } from '@orbitkit/core';
import { type Answer, type DecisionAnswer, type Question, type SchedulerSession, schedulerSessions } from './refs.js';

export interface TalkOptions {
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly scheduler: string;
  /** What it throws is told to whoever asked. */
  answer(question: Question): readonly DecisionAnswer[];
}

const unservedMs = 60_000;

export async function talkAboutDecisions({
  client,
  clock,
  log,
  signal,
  scheduler,
  answer,
}: TalkOptions): Promise<void> {
  const session = randomUUID();
  let answers: Answer[] = [];
  let backoffMs = 1_000;
  const answerTo = (question: Question): Answer => {
    try {
      return { id: question.id, decisions: answer(question) };
    } catch (error) {
      return { id: question.id, problem: error instanceof Error ? error.message : String(error) };
    }
  };
  while (!signal.aborted) {
    try {
      const spec: SchedulerSession['spec'] = { scheduler, session, answers };
      const reply = await client.create(schedulerSessions, { metadata: {}, spec } as unknown as DynamicObject, {
        signal,
      });
      const { questions = [] } = (reply as unknown as SchedulerSession).status ?? {};
      answers = questions.map(answerTo);
      backoffMs = 1_000;
    } catch (error) {
      if (signal.aborted) return;
      // Whoever asked has been told by then that nobody answered.
      answers = [];
      const unserved = isNotFound(error) || isForbidden(error);
      if (!unserved) log.debug('decisions cannot be told to the API server', { error });
      await clock.sleep(unserved ? unservedMs : backoffMs, signal).catch(() => {});
      backoffMs = Math.min(30_000, backoffMs * 2);
    }
  }
}
