/**
 * Dynamic admission: MutatingWebhookConfigurations, one webhook after the other in order of name, each seeing what the one before it made;
 * ValidatingWebhookConfigurations, all at once. Source and texts: apiserver `admission/plugin/webhook` (v0.33).
 *
 * - A configuration is read once per version; a request that no webhook is about costs a look at an empty list.
 * - A webhook that cannot be reached in its time refuses the write (failurePolicy Fail) or is passed over (Ignore).
 * - A mutating webhook with reinvocationPolicy IfNeeded is asked once more when a later one changed the object.
 * - Configurations of webhooks and policies themselves are never sent to webhooks: one could lock everybody out.
 * - An object is judged in the form in which it is stored, or (matchPolicy Equivalent) in an equivalent version that the rules name.
 */
import { randomUUID } from 'node:crypto';
import {
  type admissionregistrationv1,
  applyJsonPatch,
  type DynamicObject,
  isStatusError,
  type Json,
  type Kind,
  type KindRegistry,
  StatusError,
} from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from '../admission/contract.js';
import { replaceObject } from '../admission/functions.js';
import type { Authorizer } from '../authorization/authorizer.js';
import { CompileError, EvaluationError } from '../cel/expression.js';
import type { ObjectBytes } from '../registry/contract.js';
import { copyJson, sameJson } from '../registry/json-value.js';
import { denied, noDryRun, type ReviewResponse, readReview, requestOf, reviewOf } from './admission-review.js';
import { type WebhookCaller, webhookCaller } from './call.js';
import {
  allHold,
  compileConditions,
  type NamedExpression,
  requestEnvironment,
  requestVariables,
} from './conditions.js';
import { matchesNamespace, matchesObject, ruledKind } from './match.js';

type Mutating = admissionregistrationv1.MutatingWebhook;
type Validating = admissionregistrationv1.ValidatingWebhook;

/** What the conditions of webhooks can see, and how webhooks are called. */
export interface WebhookOptions {
  /** To find equivalent versions. Default: none are. */
  kinds?: KindRegistry;
  call?: WebhookCaller;
  /** For the variable `authorizer` of conditions and policies. Default: nobody may anything. */
  authorizer?: Authorizer;
}

const registration = 'admissionregistration.k8s.io';
const mutating = 'mutatingwebhookconfigurations';
const validating = 'validatingwebhookconfigurations';

interface Hook<W extends Mutating | Validating> {
  readonly webhook: W;
  /** `NAME/INDEX`: for audit annotations. */
  readonly place: string;
  readonly configuration: string;
  readonly conditions: readonly NamedExpression[];
  /** Why its conditions cannot be evaluated at all. */
  readonly broken: string | undefined;
}

const compiled = new WeakMap<ObjectBytes, readonly Hook<any>[]>();

function hooksOf<W extends Mutating | Validating>(stored: ObjectBytes): readonly Hook<W>[] {
  let hooks = compiled.get(stored);
  if (hooks === undefined) {
    const { metadata, webhooks } = stored.object() as unknown as { metadata: { name: string }; webhooks?: W[] };
    hooks = (webhooks ?? []).map((webhook, index) => {
      let conditions: readonly NamedExpression[] = [];
      let broken: string | undefined;
      try {
        conditions = compileConditions(requestEnvironment(), webhook.matchConditions);
      } catch (error) {
        if (!(error instanceof CompileError)) throw error;
        broken = error.message;
      }
      return { webhook, place: `${metadata.name}/${index}`, configuration: metadata.name, conditions, broken };
    });
    compiled.set(stored, hooks);
  }
  return hooks;
}

/** Most clusters have none: that must cost nothing. */
function noneConfigured(plural: string, request: AdmissionRequest, cluster: AdmissionCluster): boolean {
  if (request.kind.group === registration) return true;
  const stored = cluster.list({ group: registration, plural }, undefined, request.signal);
  return !(stored instanceof Promise) && stored.length === 0;
}

/** In order of the configurations' names. */
async function configured<W extends Mutating | Validating>(
  plural: string,
  request: AdmissionRequest,
  cluster: AdmissionCluster,
): Promise<readonly Hook<W>[]> {
  const stored = await cluster.list({ group: registration, plural }, undefined, request.signal);
  return stored
    .flatMap(each => hooksOf<W>(each))
    .sort((a, b) => (a.configuration < b.configuration ? -1 : a.configuration > b.configuration ? 1 : 0));
}

/** The kind in whose form the webhook is asked; undefined: it is not. */
async function concerns<W extends Mutating | Validating>(
  { webhook, conditions, broken }: Hook<W>,
  request: AdmissionRequest,
  cluster: AdmissionCluster,
  { kinds, authorizer }: WebhookOptions,
): Promise<Kind | undefined> {
  const kind = ruledKind(webhook.rules, request, webhook.matchPolicy !== 'Exact', kinds);
  if (kind === undefined || !matchesObject(webhook.objectSelector, request)) return undefined;
  if (!(await matchesNamespace(webhook.namespaceSelector, request, cluster))) return undefined;
  if (conditions.length === 0 && broken === undefined) return kind;
  try {
    if (broken !== undefined) throw new EvaluationError(broken);
    return allHold(conditions, requestVariables(request, authorizer)) ? kind : undefined;
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    if (webhook.failurePolicy === 'Ignore') return undefined;
    throw new StatusError('Forbidden', `admission webhook ${JSON.stringify(webhook.name)}: ${error.message}`);
  }
}

async function ask<W extends Mutating | Validating>(
  { webhook }: Hook<W>,
  kind: Kind,
  request: AdmissionRequest,
  cluster: AdmissionCluster,
  call: WebhookCaller,
): Promise<ReviewResponse | undefined> {
  if (request.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun')
    throw noDryRun(webhook.name);
  const uid = randomUUID();
  try {
    const stored = [request.object, request.oldObject].filter(each => each !== undefined);
    if (kind !== request.kind) await kind.storage?.prepare?.(stored);
    const answer = await call({
      config: webhook.clientConfig,
      body: reviewOf(requestOf(request, kind, uid)),
      timeoutMs: (webhook.timeoutSeconds ?? 10) * 1000,
      signal: request.signal,
      cluster,
    });
    return readReview(answer, uid);
  } catch (error) {
    if (request.signal.aborted) throw error;
    if (webhook.failurePolicy === 'Ignore') return undefined;
    throw new StatusError(
      'InternalError',
      `Internal error occurred: failed calling webhook ${JSON.stringify(webhook.name)}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
        details: { causes: [{ message: error instanceof Error ? error.message : String(error) }] } as never,
      },
    );
  }
}

function note<W extends Mutating | Validating>(
  { webhook }: Hook<W>,
  request: AdmissionRequest,
  answer: ReviewResponse,
): void {
  for (const warning of answer.warnings) request.warn(warning);
  for (const [key, value] of Object.entries(answer.auditAnnotations)) request.annotate(`${webhook.name}/${key}`, value);
}

/** Upstream's MutatingAdmissionWebhook: asks the webhooks that the configurations name, and applies their JSON patches. */
export function mutatingWebhooks(options: WebhookOptions = {}): AdmissionPlugin {
  const { call = webhookCaller() } = options;
  /** True when the object was changed. */
  async function mutate(
    hook: Hook<Mutating>,
    request: AdmissionRequest,
    cluster: AdmissionCluster,
    round: number,
  ): Promise<boolean | undefined> {
    const kind = await concerns(hook, request, cluster, options);
    if (kind === undefined) return undefined;
    const answer = await ask(hook, kind, request, cluster, call);
    if (answer === undefined) return false;
    note(hook, request, answer);
    if (!answer.allowed) throw denied(hook.webhook.name, answer.status);
    const changed = answer.patch !== undefined && (await patch(hook, kind, request, answer.patch));
    request.annotate(
      `mutation.webhook.admission.k8s.io/round_${round}_index_${hook.place.replace('/', '_')}`,
      JSON.stringify({ configuration: hook.configuration, webhook: hook.webhook.name, mutated: changed }),
    );
    return changed;
  }

  return {
    name: 'MutatingAdmissionWebhook',
    admit(request, cluster) {
      return noneConfigured(mutating, request, cluster) ? undefined : admit(request, cluster);
    },
  };

  async function admit(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const hooks = await configured<Mutating>(mutating, request, cluster);
    /** Those that saw the object before a later one changed it. */
    const outdated = new Set<Hook<Mutating>>();
    const asked: Hook<Mutating>[] = [];
    for (const hook of hooks) {
      const changed = await mutate(hook, request, cluster, 0);
      if (changed) for (const earlier of asked) outdated.add(earlier);
      if (changed !== undefined) asked.push(hook);
    }
    for (const hook of asked)
      if (outdated.has(hook) && hook.webhook.reinvocationPolicy === 'IfNeeded') await mutate(hook, request, cluster, 1);
  }
}

async function patch(
  hook: Hook<Mutating>,
  kind: Kind,
  request: AdmissionRequest,
  operations: unknown,
): Promise<boolean> {
  const { object } = request;
  const failed = (why: string): never => {
    throw new StatusError(
      'InternalError',
      `Internal error occurred: admission webhook ${JSON.stringify(hook.webhook.name)} answered with a patch that cannot be applied: ${why}`,
    );
  };
  if (object === undefined) return failed('there is no object to change');
  const own = kind === request.kind;
  const before = copyJson(own || !kind.storage ? object : kind.storage.fromStorage(object));
  try {
    const patched = applyJsonPatch(before as unknown as Json, operations);
    // Whatever the webhook made of it must be an object of the kind still.
    const { object: decoded } = kind.decode(patched);
    kind.applyDefaults(decoded);
    let next = decoded as unknown as DynamicObject;
    if (!own && kind.storage) {
      await kind.storage.prepare?.([next]);
      next = kind.storage.toStorage(next) as unknown as DynamicObject;
    }
    if (sameJson(next, object)) return false;
    replaceObject(request, next);
    return true;
  } catch (error) {
    if (!isStatusError(error)) throw error;
    return failed(error.message);
  }
}

/** Upstream's ValidatingAdmissionWebhook: asks them side by side; one that refuses is enough. */
export function validatingWebhooks(options: WebhookOptions = {}): AdmissionPlugin {
  const { call = webhookCaller() } = options;
  return {
    name: 'ValidatingAdmissionWebhook',
    validate(request, cluster) {
      return noneConfigured(validating, request, cluster) ? undefined : validate(request, cluster);
    },
  };

  async function validate(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const hooks = await configured<Validating>(validating, request, cluster);
    const outcomes = await Promise.allSettled(
      hooks.map(async hook => {
        const kind = await concerns(hook, request, cluster, options);
        if (kind === undefined) return;
        const answer = await ask(hook, kind, request, cluster, call);
        if (answer === undefined) return;
        note(hook, request, answer);
        if (!answer.allowed) throw denied(hook.webhook.name, answer.status);
      }),
    );
    // The first in order speaks, so that the answer does not depend on who was faster.
    const refusal = outcomes.find(each => each.status === 'rejected');
    if (refusal) throw refusal.reason;
  }
}
