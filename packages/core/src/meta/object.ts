/**
 * What every API object has in common, as TypeScript sees it.
 *
 * Objects that were read from a server carry their full metadata (`uid`, `resourceVersion`, …); what a person or a
 * controller writes is a {@link Draft}: the same shape with all that the server fills in left optional.
 */
import type { ListMeta, ObjectMeta } from '../kinds/generated/types/meta-v1.js';

export type {
  LabelSelector,
  ListMeta,
  NamespacedMeta,
  ObjectMeta,
  OwnerReference,
} from '../kinds/generated/types/meta-v1.js';

/** Any API object, of a known kind or not. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
}

/** An object with free fields beside its metadata: what a dynamic client reads. */
export type DynamicObject = KubeObject & Record<string, any>;

/** A list as the API returns it; `metadata.resourceVersion` is the version from which to watch. */
export interface ObjectList<T> {
  apiVersion: string;
  kind: string;
  metadata: ListMeta & { resourceVersion: string };
  items: T[];
}

/**
 * `T` as it is written: metadata may lack what the server sets, `apiVersion` and `kind` follow from the kind, `status`
 * is ignored on create.
 */
export type Draft<T extends { metadata: ObjectMeta }> = Omit<
  T,
  'apiVersion' | 'kind' | 'metadata' | 'spec' | 'status'
> & {
  apiVersion?: T extends { apiVersion: infer A } ? A : string;
  kind?: T extends { kind: infer K } ? K : string;
  metadata: Partial<T['metadata']>;
} & (T extends { spec: infer S } ? (Record<never, never> extends S ? { spec?: S } : { spec: S }) : unknown) &
  (T extends { status: infer S } ? { status?: Partial<S> } : unknown);

/** Names one object of a kind that is known from the context. Cluster-scoped kinds have no namespace. */
export interface ObjectKey {
  name: string;
  namespace?: string;
}

/** `namespace/name`, or `name` alone for a cluster-scoped object: client-go's key of caches and workqueues. */
export function keyOf(object: { metadata: { name: string; namespace?: string } }): string {
  const { namespace, name } = object.metadata;
  return namespace ? `${namespace}/${name}` : name;
}

/** The inverse of {@link keyOf}. */
export function parseKey(key: string): ObjectKey {
  const slash = key.indexOf('/');
  return slash < 0 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Whether an object is on its way out: it has a deletionTimestamp. */
export function isDeleting(object: { metadata: Pick<ObjectMeta, 'deletionTimestamp'> }): boolean {
  return object.metadata.deletionTimestamp !== undefined;
}
