/**
 * What is special about writing objects of one kind. Everything has a default, so that most kinds need none: a kind with a `spec`
 * counts generations, one with a `status` subresource keeps status and the rest apart.
 */
import type { DynamicObject, FieldError, Kind } from '@orbitkit/core';
import type { AdmissionReader } from '../admission/contract.js';
import type { RequestContext } from './contract.js';
import type { ReadonlyObject } from './object-bytes.js';

/** What strategies may use. */
export interface StrategyEnvironment {
  readonly reader: AdmissionReader;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Something that was taken for a write (addresses, ports) and must be given back when the write fails. */
export interface Reservation {
  release(): Promise<void>;
  /** The write is done: what it no longer needs is given back. */
  committed?(): Promise<void>;
}

export interface ReserveRequest {
  readonly dryRun: boolean;
  readonly signal: AbortSignal;
  warn(text: string): void;
}

/** PUT, PATCH and GET of a part of the object, in the object's own form. */
export type PartOf = (given: DynamicObject, current: DynamicObject) => DynamicObject;

/** @param validate The kind's own rules, for what they judge right. */
export type PartRules = (
  object: DynamicObject,
  old: ReadonlyObject,
  validate: (object: DynamicObject, old: ReadonlyObject) => FieldError[],
) => FieldError[];

/** The differences of one kind from the usual way of writing. */
export interface Strategy {
  /** `metadata.generation` counts changes of everything but metadata and status. Default: kinds that have a `spec`. */
  readonly generation?: boolean;
  /** A new object may come with its status (Nodes register with theirs). */
  readonly statusOnCreate?: boolean;
  /** PUT must name the version that it replaces (upstream: AllowUnconditionalUpdate is false). Default: without one it replaces the newest. */
  readonly versionRequired?: boolean;
  /** PUT of a name that does not exist creates it. */
  readonly createOnUpdate?: boolean;
  /** Objects vanish this long after their last write. */
  readonly ttlMs?: number;
  /** Sets what the server owns in a new object. Before validation. */
  prepareCreate?(object: DynamicObject, environment: StrategyEnvironment): void;
  /** Keeps what an update may not touch. Before validation. */
  prepareUpdate?(object: DynamicObject, old: ReadonlyObject, environment: StrategyEnvironment): void;
  /** Takes what the object needs and writes it into it: addresses, ports. `old` is what is stored. */
  reserve?(
    object: DynamicObject,
    old: ReadonlyObject | undefined,
    request: ReserveRequest,
  ): Promise<Reservation | undefined>;
  /** Gives back what a deleted object held. Failures must be harmless: the holder is gone, so the next reservation can tell. */
  released?(object: ReadonlyObject): Promise<void>;
  /** Seconds of grace for a deletion; undefined: this kind knows no grace. `requested` is undefined when the caller has no wish. */
  graceSeconds?(object: ReadonlyObject, requested: number | undefined): number;
  /** A deletion that does not end now: changes the object and answers true. It stays until `gone`. */
  beginDeletion?(object: DynamicObject, environment: StrategyEnvironment): boolean;
  /** Beside finalizers: the object may vanish. */
  gone?(object: ReadonlyObject): boolean;
  /** Subresources in the form of the object, by name; `status` has a default. What they answer is stored. */
  readonly parts?: Readonly<Record<string, PartOf>>;
  /** Rules of an update through a part, in the place of the kind's own, which do not know the way by which a change comes. */
  readonly partRules?: Readonly<Record<string, PartRules>>;
  /** Dependents are left alone when a deletion does not say what becomes of them, with a warning. */
  readonly orphansByDefault?: { readonly warning?: string };
  /** `spec.replicas` and what `scale` shows of the object. */
  readonly scale?: ScaleOf;
  /** POST to a subresource: an answer, or a change of the object. */
  readonly actions?: Readonly<Record<string, SubresourceAction>>;
}

export interface ScaleOf {
  replicas(object: ReadonlyObject): number;
  observed(object: ReadonlyObject): number;
  selector(object: ReadonlyObject): string;
  set(object: DynamicObject, replicas: number): void;
}

/** POST to a subresource: it changes the object, or answers with something of its own and stores nothing. */
export type SubresourceAction = { /** The kind of the body. */ readonly body: Kind } & (
  | {
      /**
       * Changes the object (its own copy), or refuses. A change passes compare-and-swap like any other write.
       * @throws StatusError
       */
      change(object: DynamicObject, body: DynamicObject, environment: StrategyEnvironment): void;
    }
  | {
      /** @throws StatusError */
      answer(object: ReadonlyObject, body: DynamicObject, context: RequestContext): Promise<object>;
    }
);

export type Strategies = (kind: Kind) => Strategy;

export const hasStatusSubresource = (kind: Kind): boolean => kind.subresources.some(each => each.name === 'status');

export function countsGenerations(kind: Kind, strategy: Strategy): boolean {
  return strategy.generation ?? (kind.schema.type === 'struct' && kind.schema.fields.has('spec'));
}
