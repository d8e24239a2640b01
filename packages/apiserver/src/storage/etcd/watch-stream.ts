/**
 * All watches of one process on one gRPC stream. A watch survives the stream: when that breaks (connection, member, leader, token),
 * another one is opened and every watch is created again from where its owner says it is. What only its owner can judge is handed
 * over: that its start is compacted.
 */
import { type Backoff, backoff, type Clock, type Logger } from '@orbitkit/core';
import type { Channel, Duplex } from './channel.js';
import { type GrpcError, grpcCodes } from './grpc-messages.js';
import { readWatchAnswer, type WatchAnswer, watchCancelRequest, watchCreateRequest } from './messages.js';

export interface WatchTarget {
  readonly key: Uint8Array;
  readonly rangeEnd?: Uint8Array | undefined;
  /** The revision to start at: of the first watch, and of every one after a break. */
  start(): bigint;
  /** Events, progress, creation, or that the start is compacted (`compactRevision` above 0; the watch is over then). Must not throw. */
  answer(answer: WatchAnswer): void;
}

interface Registered {
  readonly target: WatchTarget;
  /** On the present stream. */
  id: number;
}

export interface WatchStreamOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  readonly log?: Pick<Logger, 'warn'> | undefined;
}

export class WatchStream {
  readonly #options: WatchStreamOptions;
  readonly #targets = new Set<Registered>();
  readonly #byId = new Map<number, Registered>();
  readonly #stop = new AbortController();
  readonly #retry: Backoff;
  #duplex: Duplex | undefined;
  #running: Promise<void> | undefined;
  #nextId = 1;
  #healthy = false;

  constructor(options: WatchStreamOptions) {
    this.#options = options;
    this.#retry = backoff({ initialMs: 20, maxMs: 2_000, jitter: 0.5, clock: options.clock });
  }

  /** The stream stands and has answered. */
  get healthy(): boolean {
    return this.#healthy;
  }

  add(target: WatchTarget): { cancel(): void } {
    const registered: Registered = { target, id: 0 };
    this.#targets.add(registered);
    if (this.#duplex !== undefined) this.#create(this.#duplex, registered);
    else this.#running ??= this.#run();
    return {
      cancel: () => {
        if (!this.#targets.delete(registered) || registered.id === 0) return;
        this.#byId.delete(registered.id);
        this.#duplex?.send(watchCancelRequest(registered.id));
      },
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#targets.clear();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { channel, clock, log } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const error = await this.#session();
      this.#duplex = undefined;
      this.#healthy = false;
      this.#byId.clear();
      for (const registered of this.#targets) registered.id = 0;
      if (signal.aborted) return;
      // A member without a leader has nothing new to tell: the next one may.
      if (/no leader/.test(error.message)) channel.renew();
      log?.warn('the watch stream to etcd broke; it goes on where it was', {
        etcd: channel.host,
        error: error.message,
      });
      await clock.sleep(this.#retry.next(), signal).catch(() => undefined);
    }
  }

  /** One stream, until it breaks. */
  #session(): Promise<GrpcError | Error> {
    const { channel } = this.#options;
    return new Promise(resolve => {
      channel
        .duplex(
          '/etcdserverpb.Watch/Watch',
          {
            message: message => this.#receive(readWatchAnswer(message), resolve),
            closed: error => {
              if (error.code === grpcCodes.unauthenticated) channel.forgetToken();
              resolve(error);
            },
          },
          this.#stop.signal,
        )
        .then(duplex => {
          this.#duplex = duplex;
          for (const registered of this.#targets) this.#create(duplex, registered);
        }, resolve);
    });
  }

  #create(duplex: Duplex, registered: Registered): void {
    registered.id = this.#nextId++;
    this.#byId.set(registered.id, registered);
    const { key, rangeEnd } = registered.target;
    const startRevision = registered.target.start();
    duplex.send(watchCreateRequest({ id: registered.id, key, rangeEnd, startRevision }));
  }

  #receive(answer: WatchAnswer, broke: (error: Error) => void): void {
    const registered = this.#byId.get(answer.id);
    if (answer.canceled && answer.compactRevision === 0n) {
      // Of a watch that was cancelled here nothing more is wanted; any other end concerns the whole stream.
      if (registered === undefined && answer.id >= 0) return;
      if (/auth|permission/.test(answer.reason)) this.#options.channel.forgetToken();
      this.#duplex?.end();
      broke(new Error(`etcd ended a watch: ${answer.reason || 'no reason given'}`));
      return;
    }
    if (registered === undefined) return;
    this.#healthy = true;
    this.#retry.reset();
    if (answer.canceled) {
      this.#byId.delete(answer.id);
      this.#targets.delete(registered);
    }
    registered.target.answer(answer);
  }
}
