/**
 * What a reconciler is given: which object, the caches and the client of its cluster, and the two writes that almost every controller makes,
 * applying what it owns and reporting status, in a form that costs no call when nothing changes.
 */
import {
  type ApplyOptions,
  type Client,
  type ConditionLike,
  controllerReference,
  createMergePatch,
  type Draft,
  findCondition,
  type JsonObject,
  jsonEqual,
  type Kind,
  type KubeObject,
  type ResourceRef,
  setCondition,
} from '@orbitkit/core';
import type { Store } from '@orbitkit/informer';
import type { ControllerContext } from './controller.js';

/** The cache of a kind that the controller is for, owns, watches or reads, with its own writes in it. @throws Error for another kind. */
export type ReadCache = <R extends KubeObject>(kind: ResourceRef<R>) => Store<R>;

/** One key to reconcile: its object may be gone. */
export interface ReconcileKeyRequest extends Pick<ControllerContext, 'client' | 'log' | 'events' | 'clock' | 'signal'> {
  /** `namespace/name`. */
  readonly key: string;
  readonly name: string;
  readonly namespace: string | undefined;
  /** Which one of a manager's clusters; empty when it has but one. */
  readonly cluster: string;
  readonly read: ReadCache;
  /** Client and caches of another cluster of the manager. @throws Error when it has none of that name. */
  inCluster(name: string): { readonly client: Client; readonly read: ReadCache };
  /** The term of an elected manager's leadership; it only grows. Undefined without election. */
  readonly term: number | undefined;
}

/** As of a server-side apply. */
export interface ApplyOwnedOptions extends ApplyOptions {
  /** Sets the reconciled object as the controlling owner. Default: of the kinds that the builder's `.owns` named. */
  owned?: boolean;
}

/** A condition as a controller knows it; the times and the generation are filled in. */
export interface ConditionReport {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  /** A word in upper camel case. */
  reason: string;
  message?: string;
}

type StatusOf<T> = T extends { status?: infer S } ? NonNullable<S> : never;

/** Fields of the status; one that is undefined is removed. */
export type StatusReport<T> = {
  [F in keyof StatusOf<T>]?: (F extends 'conditions' ? readonly ConditionReport[] : StatusOf<T>[F]) | undefined;
};

/** One object to reconcile. */
export interface ReconcileRequest<T extends KubeObject> extends ReconcileKeyRequest {
  /** The object as it is in the cache; a copy of the reconciler's own, to change and to write. */
  readonly object: T;
  /**
   * Server-side apply as this controller: its name is the field manager, it takes fields that others own (`force`), the namespace is the object's
   * unless another is given.
   */
  apply<R extends KubeObject>(kind: ResourceRef<R>, object: Draft<R>, options?: ApplyOwnedOptions): Promise<R>;
  /**
   * Writes the fields given into the status, if any differs. Conditions are set by type: the others stay, `lastTransitionTime` moves with `status`
   * alone, `observedGeneration` is the object's. `object` then has what was written.
   * @throws StatusError Conflict when somebody else wrote the object since it was read; it will be reconciled again.
   */
  reportStatus(report: StatusReport<T>): Promise<void>;
}

export interface RequestPlan<T extends KubeObject> {
  /** The field manager. */
  name: string;
  kind: ResourceRef<T>;
  owns(kind: ResourceRef<any>): boolean;
}

export function requestOf<T extends KubeObject>(
  plan: RequestPlan<T>,
  request: ReconcileKeyRequest,
  object: T,
): ReconcileRequest<T> {
  const { client, clock } = request;
  return {
    ...request,
    object,
    async apply(kind, draft, options = {}) {
      const { owned = plan.owns(kind), ...applying } = options;
      const { namespace } = object.metadata;
      const metadata = {
        ...(kind.namespaced && namespace ? { namespace } : {}),
        ...(owned ? { ownerReferences: [controllerReference(object)] } : {}),
        ...draft.metadata,
      };
      return client.apply(kind, { ...draft, metadata }, { fieldManager: plan.name, force: true, ...applying });
    },
    async reportStatus(report) {
      const before = ((object as { status?: unknown }).status ?? {}) as JsonObject;
      const after = { ...before, ...report } as JsonObject & { conditions?: ConditionLike[] };
      for (const name of Object.keys(after)) if (after[name] === undefined) delete after[name];
      const { resourceVersion } = object.metadata;
      const given = report as { conditions?: readonly ConditionReport[] };
      if (given.conditions) {
        const conditions = conditionsOf(
          plan.kind,
          object,
          before['conditions'] as never,
          given.conditions,
          clock.now(),
        );
        if (conditions) after.conditions = conditions;
      }
      if (jsonEqual(before, after)) return;
      const patch = {
        metadata: { resourceVersion },
        status: createMergePatch({ original: before, modified: after, current: before }),
      };
      const written = await client.patch(
        plan.kind,
        object.metadata,
        { type: 'merge', patch },
        { ...(hasStatusPath(plan.kind) ? { subresource: 'status' } : {}), fieldManager: plan.name },
      );
      Object.assign(object, written);
    },
  };
}

/** Of fields that the kind's conditions do not have the server would keep nothing, and the next comparison would find a difference. */
function conditionsOf(
  kind: ResourceRef<any>,
  object: KubeObject,
  before: ConditionLike[] | undefined,
  reports: readonly ConditionReport[],
  now: number,
): ConditionLike[] | undefined {
  const { generation } = object.metadata;
  const observed = generation !== undefined && observesGeneration(kind) ? { observedGeneration: generation } : {};
  let conditions = before;
  for (const { message = '', ...report } of reports) {
    const known = findCondition(conditions, report.type);
    // The built-in kinds leave an empty one out.
    const text = message === '' && known && known.message === undefined ? {} : { message };
    conditions = setCondition<ConditionLike>(conditions, { ...report, ...text, ...observed }, now);
  }
  return conditions;
}

function observesGeneration(kind: ResourceRef<any>): boolean {
  const { schema } = kind as Partial<Kind>;
  if (schema === undefined) return true;
  const status = schema.fields.get('status')?.schema;
  const list = status?.type === 'struct' ? status.fields.get('conditions')?.schema : undefined;
  return list?.type !== 'list' || list.items.type !== 'struct' || list.items.fields.has('observedGeneration');
}

/** Of a kind that is known by its address only, it is taken for granted. */
function hasStatusPath(kind: ResourceRef<any>): boolean {
  const { subresources } = kind as Partial<Kind>;
  return subresources === undefined || subresources.some(({ name }) => name === 'status');
}
