/**
 * Several binders over one store of objects, each with caches (of either kind) that are as old as the test wants, each killed before whichever write the test wants,
 * their calls interleaved as the test wants. After every write it is checked that nothing was bound twice.
 */
import {
  conflict,
  type KubeObject,
  keyOf,
  manualClock,
  Node,
  notFound,
  type ObjectKey,
  type PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolume as PersistentVolumeKind,
  Pod,
  type ResourceRef,
  StorageClass,
  silentLogger,
} from '@orbitkit/core';
import { Indexer } from '@orbitkit/informer';
import type { ControllerContext } from '../../../controller.js';
import { Binder, byPlace } from '../binder.js';
import { annotations } from '../names.js';

type Stored = (PersistentVolume | PersistentVolumeClaim) & KubeObject;
interface Change {
  key: string;
  object: Stored | undefined;
}
interface Process {
  binder: Binder;
  /** How much of each kind's changes its cache has seen. */
  seen: Map<string, number>;
  stores: Map<string, Indexer<any>>;
  writesLeft: number;
}

const killed = new Error('killed');
const copy = <T>(value: T): T => structuredClone(value);

export class RacingBinders {
  readonly objects = new Map<string, Stored>();
  readonly #logs = new Map<string, Change[]>([
    [PersistentVolumeKind.plural, []],
    [PersistentVolumeClaim.plural, []],
  ]);
  readonly #processes: Process[] = [];
  #version = 0;

  /** @param turn Awaited before every call: where calls of different binders pass each other. */
  constructor(
    count: number,
    private readonly turn: () => Promise<void>,
  ) {
    for (let index = 0; index < count; index++) this.restart(index);
  }

  /** A new process, whose cache is as old as the old one's was. */
  restart(index: number): void {
    const seen = this.#processes[index]?.seen;
    const stores = new Map<string, Indexer<any>>([
      [PersistentVolumeKind.plural, new Indexer<any>({ byPlace: byPlace as never })],
      [PersistentVolumeClaim.plural, new Indexer<any>()],
      [StorageClass.plural, new Indexer<any>()],
      [Pod.plural, new Indexer<any>({ byClaim: () => [] })],
      [Node.plural, new Indexer<any>()],
    ]);
    const context = {
      client: this.#client(index),
      clock: manualClock(),
      log: silentLogger,
      signal: new AbortController().signal,
      events: { event() {} },
    } as unknown as ControllerContext;
    const binder = new Binder(context, {
      claims: stores.get(PersistentVolumeClaim.plural)!,
      volumes: stores.get(PersistentVolumeKind.plural)!,
      classes: stores.get(StorageClass.plural)!,
      pods: stores.get(Pod.plural)!,
      nodes: stores.get(Node.plural)!,
      add() {},
    });
    this.#processes[index] = { binder, seen: new Map(), stores, writesLeft: Number.POSITIVE_INFINITY };
    for (const [plural, changes] of seen ?? []) this.sync(index, plural, changes);
  }

  /** Shows one of the binder's caches the next changes: the two kinds are watched apart. */
  sync(index: number, plural: string, changes = Number.MAX_SAFE_INTEGER): void {
    const { binder, seen, stores } = this.#processes[index]!;
    const from = seen.get(plural) ?? 0;
    const next = this.#logs.get(plural)!.slice(from, from + changes);
    for (const { key, object } of next) {
      const store = stores.get(plural)!;
      if (object) store.set(copy(object));
      else {
        store.delete(key);
        if (plural === PersistentVolumeClaim.plural) binder.forgetClaim(key);
        else binder.forgetVolume(key);
      }
    }
    seen.set(plural, from + next.length);
  }

  /** Looks at one key; killed when it has written so often. */
  async look(index: number, key: string, writes = Number.POSITIVE_INFINITY): Promise<void> {
    const process = this.#processes[index]!;
    process.writesLeft = writes;
    try {
      await process.binder.reconcile(key);
    } catch (error) {
      if (error === killed) this.restart(index);
      else if (
        (error as { reason?: string }).reason !== 'Conflict' &&
        (error as { reason?: string }).reason !== 'NotFound'
      )
        throw error;
    }
  }

  create(kind: ResourceRef<any>, object: object): void {
    const made = { ...copy(object), kind: kind.kind } as Stored;
    this.#version += 1;
    made.metadata = { ...made.metadata, uid: `uid-${this.#version}` } as never;
    this.#store(kind.plural, made);
  }

  remove(kind: ResourceRef<any>, key: string): void {
    if (!this.objects.delete(`${kind.plural}/${key}`)) return;
    this.#logs.get(kind.plural)!.push({ key, object: undefined });
  }

  edit(kind: ResourceRef<any>, key: string, change: (object: any) => void): void {
    const object = this.objects.get(`${kind.plural}/${key}`);
    if (!object) return;
    const draft = copy(object);
    change(draft);
    this.#store(kind.plural, draft);
  }

  get volumes(): PersistentVolume[] {
    return [...this.objects.values()].filter((each): each is PersistentVolume => each.kind === 'PersistentVolume');
  }
  get claims(): PersistentVolumeClaim[] {
    return [...this.objects.values()].filter(
      (each): each is PersistentVolumeClaim => each.kind === 'PersistentVolumeClaim',
    );
  }

  #client(index: number) {
    const write = async (kind: ResourceRef<any>, object: Stored, part: 'spec' | 'status'): Promise<Stored> => {
      const draft = copy(object);
      await this.turn();
      const process = this.#processes[index]!;
      if (process.writesLeft <= 0) throw killed;
      process.writesLeft -= 1;
      const name = keyOf(draft);
      const now = this.objects.get(`${kind.plural}/${name}`);
      if (!now) throw notFound(kind, name);
      if (now.metadata.uid !== draft.metadata.uid || now.metadata.resourceVersion !== draft.metadata.resourceVersion)
        throw conflict(kind, name, 'it was changed');
      const next = (part === 'status' ? { ...now, status: draft.status } : { ...draft, status: now.status }) as Stored;
      this.#check(now, next);
      return copy(this.#store(kind.plural, next));
    };
    return {
      get: async (kind: ResourceRef<any>, key: ObjectKey) => {
        await this.turn();
        const found = this.objects.get(`${kind.plural}/${keyOf({ metadata: key })}`);
        if (!found) throw notFound(kind, key.name);
        return copy(found);
      },
      update: (kind: ResourceRef<any>, object: Stored) => write(kind, object, 'spec'),
      updateStatus: (kind: ResourceRef<any>, object: Stored) => write(kind, object, 'status'),
    };
  }

  #store(plural: string, object: Stored): Stored {
    this.#version += 1;
    object.metadata = { ...object.metadata, resourceVersion: String(this.#version) } as never;
    const key = keyOf(object);
    this.objects.set(`${plural}/${key}`, copy(object));
    this.#logs.get(plural)!.push({ key, object: copy(object) });
    return object;
  }

  #check(before: Stored, after: Stored): void {
    if (after.kind === 'PersistentVolumeClaim') this.#checkClaim(before as PersistentVolumeClaim, after);
    else this.#checkVolume(before as PersistentVolume, after);
  }

  #checkClaim(before: PersistentVolumeClaim, after: PersistentVolumeClaim): void {
    const { volumeName } = after.spec;
    const who = keyOf(after);
    if (before.spec.volumeName && before.spec.volumeName !== volumeName)
      throw new Error(`claim ${who} left volume ${before.spec.volumeName} for ${volumeName}`);
    if (after.status.phase === 'Lost') throw new Error(`claim ${who} was called lost`);
    if (!volumeName || after.metadata.annotations?.[annotations.bindCompleted] === undefined) return;
    const volume = this.volumes.find(({ metadata }) => metadata.name === volumeName);
    if (volume?.spec.claimRef?.uid !== after.metadata.uid)
      throw new Error(`claim ${who} is bound to ${volumeName}, which is not bound to it`);
    const rival = this.claims.find(
      claim =>
        claim.metadata.uid !== after.metadata.uid &&
        claim.spec.volumeName === volumeName &&
        claim.metadata.annotations?.[annotations.bindCompleted] !== undefined,
    );
    if (rival) throw new Error(`volume ${volumeName} is bound to two claims: ${keyOf(rival)} and ${who}`);
  }

  #checkVolume(before: PersistentVolume, after: PersistentVolume): void {
    const holder = this.claims.find(({ metadata }) => metadata.uid === before.spec.claimRef?.uid);
    const { name } = before.metadata;
    if (!holder || (holder.spec.volumeName && holder.spec.volumeName !== name)) return;
    if (holder.spec.volumeName === name && after.spec.claimRef?.uid !== holder.metadata.uid)
      throw new Error(`volume ${name} was taken from claim ${keyOf(holder)}`);
    if (after.status.phase === 'Released' || after.status.phase === 'Failed')
      throw new Error(`volume ${name} was released although claim ${keyOf(holder)} is there`);
  }
}
