/**
 * Carries out what slice-plan decides, for the controllers that own EndpointSlices: each service's slices under a label that says whose they are.
 *
 * - Until the cache shows what was written for a service last time, nothing is written for it: lag makes no duplicates.
 * - A slice whose labels or annotations are not as they should be is written too.
 */
import {
  type Client,
  type Clock,
  EndpointSlice,
  isConflict,
  isNotFound,
  type OwnerReference,
  parseKey,
  type ResourceRef,
} from '@orbitkit/core';
import { type InformerHandler, mutableCopy, type SharedInformer } from '@orbitkit/informer';
import { Expectations } from '../../expectations.js';
import { OwnWrites } from '../../own-writes.js';
import type { SlicePlan, SliceView } from './slice-plan.js';

export const serviceNameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';

type Texts = Readonly<Record<string, string>>;

/** What all slices of a service have in common. */
export interface SliceFamily {
  /** Name of the service, and the beginning of its slices' names. */
  name: string;
  namespace: string;
  labels: Texts;
  /** Default: whatever is there. */
  annotations?: Texts;
  owner: OwnerReference;
}

/** Index of slices: those of one controller by the key of their service. */
export const sliceOwners =
  (managedBy: string) =>
  ({ metadata }: SliceView): string[] => {
    const service = metadata.labels?.[serviceNameLabel];
    return service && metadata.labels?.[managedByLabel] === managedBy ? [`${metadata.namespace}/${service}`] : [];
  };

export class SliceWriter {
  readonly #expectations: Expectations;
  readonly #writes: OwnWrites<EndpointSlice>;
  readonly #keysOf: (slice: SliceView) => string[];

  constructor(
    private readonly client: Client,
    private readonly managedBy: string,
    slices: Pick<SharedInformer<EndpointSlice>, 'store'>,
    clock: Clock,
  ) {
    this.#expectations = new Expectations(clock);
    this.#writes = new OwnWrites<EndpointSlice>(slices.store, clock);
    this.#keysOf = sliceOwners(managedBy);
  }

  /** For the informer of slices: what it says is noted, then the service is looked at. */
  listener(enqueue: (key: string) => void): InformerHandler<EndpointSlice> {
    const told = (slice: SliceView) => {
      for (const key of this.#keysOf(slice)) enqueue(key);
    };
    return {
      onAdd: slice => {
        for (const key of this.#keysOf(slice)) this.#expectations.creationObserved(key);
        told(slice);
      },
      onUpdate(before, after) {
        told(before);
        told(after);
      },
      onDelete: slice => {
        for (const key of this.#keysOf(slice)) this.#expectations.deletionObserved(key, slice.metadata.uid);
        told(slice);
      },
    };
  }

  /** Whether the cache shows what was written for the service. */
  settled(key: string): boolean {
    return this.#expectations.satisfied(key) && this.#writes.visible(key);
  }

  /** @throws the first error of a write, after all were tried. */
  async carryOut(key: string, plan: SlicePlan, existing: readonly SliceView[], family: SliceFamily): Promise<void> {
    const labels = { ...family.labels, [serviceNameLabel]: family.name, [managedByLabel]: this.managedBy };
    const { annotations } = family;
    const isRight = ({ metadata }: SliceView) =>
      sameTexts(metadata.labels, labels) && (annotations === undefined || sameTexts(metadata.annotations, annotations));
    const stale = existing.filter(
      slice => !plan.remove.includes(slice) && !plan.update.some(each => each.slice === slice) && !isRight(slice),
    );
    this.#expectations.expect(key, {
      creations: plan.create.length,
      deletions: plan.remove.map(slice => slice.metadata.uid),
    });
    const write = async (slice: SliceView, endpoints?: EndpointSlice['endpoints']) => {
      const next = mutableCopy<EndpointSlice>(slice);
      next.metadata.labels = labels;
      if (annotations) next.metadata.annotations = { ...annotations };
      if (endpoints) next.endpoints = endpoints;
      this.#writes.note(key, await this.client.update(EndpointSlice, next));
    };
    const results = await Promise.allSettled([
      ...plan.update.map(({ slice, endpoints }) => write(slice, endpoints)),
      ...stale.map(slice => write(slice)),
      ...plan.create.map(slice => this.#create(key, { ...family, labels }, slice)),
      ...plan.remove.map(slice => this.#remove(key, slice)),
    ]);
    const failed = results.find(result => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #create(
    key: string,
    { name, namespace, labels, annotations, owner }: SliceFamily,
    slice: SlicePlan['create'][number],
  ): Promise<void> {
    try {
      const metadata = { generateName: `${name}-`, namespace, labels, ownerReferences: [owner] };
      await this.client.create(EndpointSlice, {
        metadata: { ...metadata, ...(annotations ? { annotations } : {}) },
        ...slice,
      });
    } catch (error) {
      this.#expectations.creationObserved(key);
      throw error;
    }
  }

  async #remove(key: string, slice: SliceView): Promise<void> {
    const { uid, resourceVersion, name, namespace } = slice.metadata;
    try {
      await this.client.delete(EndpointSlice, { name, namespace }, { preconditions: { uid, resourceVersion } });
    } catch (error) {
      this.#expectations.deletionObserved(key, uid);
      if (!isNotFound(error)) throw error;
    }
  }

  /**
   * Removes the slices of a service whose owner is gone, after a live look for that. The garbage collector does this too; a cluster without one is
   * left tidy all the same.
   */
  async removeAll(key: string, slices: readonly SliceView[], owner: ResourceRef<any>): Promise<void> {
    this.#expectations.forget(key);
    this.#writes.forget(key);
    if (slices.length === 0) return;
    try {
      await this.client.get(owner, parseKey(key));
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    await this.discard(slices);
  }

  /** Removes slices that nobody is to have any more. */
  async discard(slices: readonly SliceView[]): Promise<void> {
    for (const { metadata } of slices) {
      const { uid, name, namespace } = metadata;
      await this.client
        .delete(EndpointSlice, { name, namespace }, { preconditions: { uid } })
        .catch((error: unknown) => {
          if (!isNotFound(error) && !isConflict(error)) throw error;
        });
    }
  }
}

function sameTexts(current: Texts | undefined = {}, wanted: Texts): boolean {
  const names = Object.keys(wanted);
  return names.length === Object.keys(current).length && names.every(name => current[name] === wanted[name]);
}
