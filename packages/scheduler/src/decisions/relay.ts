/**
 * The API server's side of `scheduling.orbitkit.dev/v1`: schedulers' decisions as objects.
 *
 * Schedulers call the server, never the other way round, so that they need no address and no certificate: each keeps one request open (a created
 * SchedulerSession), which the server answers when somebody asks, or after a while with nothing. What schedulers keep is asked for when somebody wants
 * it; nothing is stored, and a decision costs nothing here. A scheduler talks to one API server: others of the same cluster say that there is none.
 *
 * Bounded: `answerMs` for an answer, 100 questions that wait for one scheduler. Source of the idea: long polling (RFC 6202).
 */
import { randomUUID } from 'node:crypto';
import {
  badRequest,
  type Clock,
  ClusterRole,
  ClusterRoleBinding,
  type DynamicObject,
  formatTime,
  type Kind,
  parseFieldSelector,
  parseLabelSelector,
  parseTime,
  StatusError,
} from '@orbitkit/core';
import { decisionKind, sessionKind } from './kinds.js';
import type { Answer, DecisionAnswer, Question, SchedulerSession } from './refs.js';

/** Milliseconds. */
export interface DecisionRelayOptions {
  readonly clock: Clock;
  /** When it aborts, schedulers that wait for questions are sent away at once. */
  readonly signal?: AbortSignal;
  /** How long a scheduler waits for a question before it asks again. Default 10 s. */
  readonly holdMs?: number;
  /** How long whoever asks waits for the answer. Default 5 s. */
  readonly answerMs?: number;
}

interface Asked {
  readonly signal: AbortSignal;
}
interface Selected {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

/** To be spread into the options of `apiServer`: `kinds: [...builtinKinds, ...relay.kinds]`, `resources: { virtual, systemObjects }`. */
export interface DecisionRelay {
  readonly kinds: readonly Kind<any>[];
  readonly virtual: {
    readonly [kind: string]: {
      create(context: Asked, object: DynamicObject): Promise<object>;
      get?(context: Asked, key: { name: string; namespace?: string | undefined }): Promise<object | undefined>;
      list?(context: Asked, selected: Selected): Promise<object[]>;
    };
  };
  /** The scheduler may answer; who may view a namespace may read its decisions, who may edit it may ask for new ones. */
  readonly systemObjects: readonly { kind: Kind<any>; object: any }[];
}

interface Session {
  readonly questions: Question[];
  wake(): void;
  away: { cancel(): void } | undefined;
}

const mostQuestions = 100;
const awayMs = 5_000;

/** A relay for one API server: its kinds, objects and answers go into the server's options. */
export function decisionRelay(options: DecisionRelayOptions): DecisionRelay {
  const { clock, signal, holdMs = 10_000, answerMs = 5_000 } = options;
  const sessions = new Map<string, Session>();
  const asked = new Map<string, (answer: Answer | StatusError) => void>();

  async function talk(context: Asked, object: DynamicObject): Promise<object> {
    const { spec } = object as unknown as SchedulerSession;
    for (const answer of spec.answers) asked.get(answer.id)?.(answer);
    let session = sessions.get(spec.session);
    if (!session) {
      session = { questions: [], wake() {}, away: undefined };
      sessions.set(spec.session, session);
    }
    const { questions } = session;
    setAway(session, undefined);
    if (questions.length === 0) await held(session, context.signal);
    // It comes back at once when it is well.
    setAway(
      session,
      clock.setTimer(awayMs, () => void sessions.delete(spec.session)),
    );
    return { ...object, status: { questions: questions.splice(0) } };
  }

  function setAway(session: Session, away: Session['away']): void {
    session.away?.cancel();
    session.away = away;
  }

  function held(session: Session, gone: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        timer.cancel();
        for (const each of [gone, signal]) each?.removeEventListener('abort', end);
        session.wake = () => {};
        resolve();
      };
      const timer = clock.setTimer(holdMs, end);
      session.wake = end;
      for (const each of [gone, signal]) each?.addEventListener('abort', end, { once: true });
      if (gone.aborted || signal?.aborted) end();
    });
  }

  function put(session: Session, question: Question, gone: AbortSignal): Promise<Answer> {
    if (session.questions.length >= mostQuestions)
      throw new StatusError('TooManyRequests', 'too many questions wait for the scheduler; ask again later');
    return new Promise((resolve, reject) => {
      const end = (answer: Answer | StatusError): void => {
        timer.cancel();
        gone.removeEventListener('abort', left);
        asked.delete(question.id);
        if (answer instanceof Error) reject(answer);
        else if (answer.problem) reject(badRequest(answer.problem));
        else resolve(answer);
      };
      const left = (): void => end(new StatusError('Timeout', 'whoever asked has gone'));
      const timer = clock.setTimer(answerMs, () =>
        end(new StatusError('Timeout', `no scheduler answered within ${answerMs / 1_000} s; is it running?`)),
      );
      gone.addEventListener('abort', left, { once: true });
      asked.set(question.id, end);
      session.questions.push(question);
      session.wake();
    });
  }

  /** Of all schedulers; those that fail are left out as long as one answers. */
  async function ask(question: Questioned, context: Asked): Promise<DecisionAnswer[]> {
    if (sessions.size === 0)
      throw new StatusError(
        'ServiceUnavailable',
        'no scheduler that keeps decisions is connected to this API server: it may be starting, or connected to another one',
      );
    const answers = await Promise.allSettled(
      [...sessions.values()].map(async session => put(session, { id: randomUUID(), ...question }, context.signal)),
    );
    const good = answers.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []));
    if (good.length === 0) throw (answers[0] as PromiseRejectedResult).reason;
    const found = good.flatMap(({ decisions = [] }) => decisions);
    return found.sort((a, b) => parseTime(b.status.decidedAt)! - parseTime(a.status.decidedAt)!);
  }

  const virtual: DecisionRelay['virtual'] = {
    'scheduling.orbitkit.dev/v1/SchedulerSession': { create: talk },
    'scheduling.orbitkit.dev/v1/SchedulingDecision': {
      async get(context, { namespace = '', name }) {
        const [latest] = await ask({ ask: 'kept', namespace, name }, context);
        return latest && objectOf(latest, {});
      },
      async list(context, { namespace, labelSelector, fieldSelector }) {
        const labels = parseLabelSelector(labelSelector ?? '');
        const fields = parseFieldSelector(fieldSelector ?? '');
        const all = await ask({ ask: 'list', ...(namespace ? { namespace } : {}) }, context);
        return all
          .filter(each => labels.matches(each.labels))
          .map(each => objectOf(each, {}))
          .filter(({ metadata }) =>
            fields.matches(field =>
              field === 'metadata.name'
                ? metadata.name
                : field === 'metadata.namespace'
                  ? metadata.namespace
                  : undefined,
            ),
          );
      },
      async create(context, object) {
        const { spec, metadata } = object as DynamicObject & { spec?: { pod?: Record<string, unknown> } };
        if (!spec?.pod) throw badRequest('spec.pod: required; it is the pod to decide for, which need not exist');
        const { namespace = 'default' } = metadata;
        const [answer] = await ask({ ask: 'now', namespace, pod: spec.pod }, context);
        if (!answer)
          throw badRequest(
            'spec.pod.spec.schedulerName: no scheduler that is connected to this API server has that name',
          );
        return objectOf(answer, spec);
      },
    },
  };
  return { kinds: [decisionKind, sessionKind], virtual, systemObjects: rights };
}

type Questioned = Question extends infer Q ? (Q extends Question ? Omit<Q, 'id'> : never) : never;

const objectOf = ({ namespace, name, labels, status }: DecisionAnswer, spec: object) => ({
  apiVersion: 'scheduling.orbitkit.dev/v1',
  kind: 'SchedulingDecision',
  metadata: {
    name,
    namespace,
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    creationTimestamp: formatTime(parseTime(status.decidedAt)!),
  },
  spec,
  status,
});

const apiGroups = ['scheduling.orbitkit.dev'];
const role = (name: string, labels: Record<string, string>, resource: string, verbs: string[]) => ({
  kind: ClusterRole,
  object: { metadata: { name, labels }, rules: [{ apiGroups, resources: [resource], verbs }] },
});
const aggregatedTo = (name: string) => ({ [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' });

const rights: DecisionRelay['systemObjects'] = [
  role('orbitkit:view-scheduling-decisions', aggregatedTo('view'), 'schedulingdecisions', ['get', 'list']),
  role('orbitkit:ask-scheduling-decisions', aggregatedTo('edit'), 'schedulingdecisions', ['create']),
  role('orbitkit:scheduler-sessions', {}, 'schedulersessions', ['create']),
  {
    kind: ClusterRoleBinding,
    object: {
      metadata: { name: 'orbitkit:scheduler-sessions' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'orbitkit:scheduler-sessions' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:kube-scheduler' }],
    },
  },
];
