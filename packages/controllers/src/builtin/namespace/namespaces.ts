/**
 * Empties a namespace that is being deleted, then lets it go.
 *
 * - Finds out what there can be from discovery, custom kinds included. Pods go first and with their grace; everything else
 *   waits until they are gone, so that what they mount and the accounts under which they run outlive them.
 * - Conditions say what is left and why. While a kind cannot be listed or emptied, the namespace stays.
 * - Only then the finalizer `kubernetes` is taken away, by the `finalize` subresource.
 *
 * Source of the rules: kube-controller-manager `namespaced_resources_deleter.go`, KEP-5080 (ordered deletion).
 */
import {
  type Client,
  type DiscoveredKind,
  discoverKinds,
  formatTime,
  isDeleting,
  isNotFound,
  keyOf,
  Namespace,
  StatusError,
  setCondition,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy } from '@orbitkit/informer';
import type { Controller, ControllerContext } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { messageOf } from '../../refusals.js';

/** Everything has a default; times are in milliseconds. */
export interface NamespacesOptions {
  /** Namespaces emptied at the same time. Default 10 (`--concurrent-namespace-syncs`). */
  concurrency?: number;
  /** How soon to look again while something is left. Default 1 s. */
  recheckMs?: number;
}

type NamespaceView = DeepReadonly<Namespace>;
type Condition = NonNullable<Namespace['status']['conditions']>[number];

/** The finalizer of the API machinery itself, in spec.finalizers. */
const namespaceFinalizer = 'kubernetes';
const name = 'namespace-controller';

/** The controller of namespaces that are being deleted. */
export function namespaces({ concurrency = 10, recheckMs = 1_000 }: NamespacesOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const informer = context.informers.informer(Namespace);
      const queue = controllerQueue(context, name);
      const enqueue = (namespace: NamespaceView) => {
        if (isDeleting(namespace)) queue.add(keyOf(namespace));
      };
      const registrations = [informer.addHandler({ onAdd: enqueue, onUpdate: (_, after) => enqueue(after) })];
      const reconcile = async (key: string): Promise<ReconcileResult> => {
        const namespace = informer.store.get(key);
        if (!namespace || !isDeleting(namespace)) return undefined;
        return (await empty(context, namespace)) ? undefined : { requeueAfter: recheckMs };
      };
      await reconcileLoop(context, { name, queue, informers: [informer], concurrency, reconcile }, registrations);
    },
  };
}

/** What is left of one kind. */
interface Remains {
  kind: DiscoveredKind;
  count: number;
  finalizers: readonly string[];
}

/** True when the namespace is let go. */
async function empty(context: ControllerContext, cached: NamespaceView): Promise<boolean> {
  const { client } = context;
  let namespace: Namespace;
  try {
    namespace = await client.get(Namespace, { name: cached.metadata.name });
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
  // Another of the name: the event about it will come.
  if (namespace.metadata.uid !== cached.metadata.uid) return true;
  if (!namespace.spec.finalizers?.includes(namespaceFinalizer)) return true;

  const found = await discoverKinds(client.transport);
  const kinds = found.kinds.filter(
    kind => kind.namespaced && kind.verbs.includes('list') && kind.verbs.includes('delete'),
  );
  const left: Remains[] = [];
  const failures: string[] = [];
  const clear = async (kind: DiscoveredKind) => {
    try {
      const remains = await clearKind(client, kind, namespace.metadata.name);
      if (remains.count > 0) left.push(remains);
    } catch (error) {
      failures.push(`${kind.plural}${kind.group ? `.${kind.group}` : ''}: ${messageOf(error)}`);
    }
  };
  const pods = kinds.filter(isPods);
  const others = kinds.filter(kind => !isPods(kind) && !(kind.group === 'events.k8s.io' && kind.plural === 'events'));
  for (const kind of pods) await clear(kind);
  if (left.length === 0 && failures.length === 0) await Promise.all(others.map(clear));

  const undiscovered = [...found.failedGroups].map(([group, why]) => `${group}: ${why}`);
  await reportConditions(context, namespace, left, failures, undiscovered);
  if (left.length > 0) return false;
  if (failures.length > 0 || undiscovered.length > 0) {
    throw new StatusError(
      'InternalError',
      `not everything could be deleted: ${[...failures, ...undiscovered].join('; ')}`,
    );
  }
  await finalize(client, namespace.metadata.name);
  return true;
}

const isPods = (kind: DiscoveredKind): boolean => kind.group === '' && kind.plural === 'pods';

/** Deletes all of one kind and says what is still there afterwards. */
async function clearKind(client: Client, kind: DiscoveredKind, namespace: string): Promise<Remains> {
  const propagationPolicy = 'Background' as const;
  const before = await client.list(kind, { namespace });
  if (before.items.length === 0) return { kind, count: 0, finalizers: [] };
  const fresh = before.items.filter(item => !isDeleting(item));
  if (kind.verbs.includes('deletecollection')) {
    if (fresh.length > 0) await client.deleteCollection(kind, { namespace, propagationPolicy });
  } else {
    for (const { metadata } of fresh) {
      const key = { name: metadata.name, namespace };
      await client.delete(kind, key, { propagationPolicy }).catch((error: unknown) => {
        if (!isNotFound(error)) throw error;
      });
    }
  }
  const after = await client.list(kind, { namespace });
  return { kind, count: after.items.length, finalizers: after.items.flatMap(item => item.metadata.finalizers ?? []) };
}

async function finalize(client: Client, name: string): Promise<void> {
  const namespace = await client.get(Namespace, { name });
  const finalizers = (namespace.spec.finalizers ?? []).filter(each => each !== namespaceFinalizer);
  const body = { ...namespace, spec: { ...namespace.spec, finalizers } };
  try {
    await client.updateSubresource(Namespace, { name }, 'finalize', body);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

async function reportConditions(
  { client, clock }: ControllerContext,
  namespace: Namespace,
  left: readonly Remains[],
  failures: readonly string[],
  undiscovered: readonly string[],
): Promise<void> {
  const finalizers = new Map<string, number>();
  for (const finalizer of left.flatMap(each => each.finalizers)) {
    finalizers.set(finalizer, (finalizers.get(finalizer) ?? 0) + 1);
  }
  const counted = left.map(({ kind, count }) => `${kind.plural}.${kind.group} has ${count} resource instances`);
  const held = [...finalizers].map(([finalizer, count]) => `${finalizer} in ${count} resource instances`);
  const say = (type: Condition['type'], found: readonly string[], bad: [string, string], good: [string, string]) => ({
    type,
    status: found.length > 0 ? 'True' : 'False',
    reason: (found.length > 0 ? bad : good)[0],
    message: found.length > 0 ? `${bad[1]}: ${found.join(', ')}` : good[1],
    lastTransitionTime: formatTime(clock.now()),
  });
  const discovered: [string, string] = ['ResourcesDiscovered', 'All resources successfully discovered'];
  const next = [
    say(
      'NamespaceDeletionDiscoveryFailure',
      undiscovered,
      ['DiscoveryFailed', 'Discovery failed for some groups'],
      discovered,
    ),
    say(
      'NamespaceDeletionContentFailure',
      failures,
      ['ContentDeletionFailed', 'Failed to delete all resource types'],
      ['ContentDeleted', 'All content successfully deleted, may be waiting on finalization'],
    ),
    say(
      'NamespaceContentRemaining',
      counted,
      ['SomeResourcesRemain', 'Some resources are remaining'],
      ['ContentRemoved', 'All content successfully removed'],
    ),
    say(
      'NamespaceFinalizersRemaining',
      held,
      ['SomeFinalizersRemain', 'Some content in the namespace has finalizers remaining'],
      ['ContentHasNoFinalizers', 'All content-preserving finalizers finished'],
    ),
  ];
  const before = namespace.status.conditions;
  const conditions = next.reduce<Condition[] | undefined>((all, each) => setCondition(all, each, clock.now()), before);
  if (conditions === before) return;
  const status = { ...mutableCopy<Namespace['status']>(namespace.status), conditions: conditions ?? [] };
  await client.updateStatus(Namespace, { ...namespace, status });
}
