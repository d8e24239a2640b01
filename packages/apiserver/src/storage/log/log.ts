/**
 * The journal of the embedded store: appends each commit with one durable write, begins a new segment when one is full, and lets
 * old segments go once a snapshot holds what they say.
 *
 * When a commit cannot be written because the disk is full, what part of it was written is cut off again and the log goes on with the
 * next commit. After any other error of the disk nobody can say what it holds: the log then refuses every further
 * commit until the store is opened again, which reads what is really there.
 */
import path from 'node:path';
import type { Logger } from '@orbitkit/core';
import { StoreUnavailableError } from '../contract.js';
import type { Change, Journal } from '../versioned/change.js';
import { fileHeaderBytes } from './file-header.js';
import type { FileSystem, LogFile } from './file-system.js';
import { recordBytes, writeRecord } from './record.js';
import type { Recovered } from './recovery.js';
import { createSegment, type Segment } from './segment.js';
import { type SnapshotSource, writeSnapshot } from './snapshot.js';

export interface LogOptions {
  readonly directory: string;
  readonly files: FileSystem;
  readonly durable: boolean;
  readonly segmentBytes: number;
  readonly snapshotBytes: number;
  readonly log: Pick<Logger, 'warn'> | undefined;
}

/** A state that holds still while it is written. */
export interface Snapshottable {
  readonly compactedRevision: bigint;
  hold(): SnapshotSource & { release(): void };
}

const diskFull = new Set(['ENOSPC', 'EDQUOT']);
/** Commits up to this size share one buffer. */
const scratchBytes = 1024 * 1024;

export class Log implements Journal {
  readonly #options: LogOptions;
  /** Oldest first; the last one is open. */
  readonly #segments: Segment[];
  /** Bytes of each segment that is not open. */
  readonly #sizes = new Map<string, number>();
  #handle: LogFile;
  #offset: number;
  #sequence: number;
  #revision: bigint;
  /** Why nothing more can be written. */
  #broken: StoreUnavailableError | undefined;
  #scratch = Buffer.allocUnsafeSlow(64 * 1024);
  #snapshot: { file: string; bytes: number } | undefined;
  #snapshotting: Promise<void> | undefined;
  /** After a snapshot failed: the size of the log at which the next attempt is due. */
  #retryAt = 0;
  readonly #stop = new AbortController();
  #source: Snapshottable | undefined;

  private constructor(options: LogOptions, recovered: Recovered, segments: Segment[], handle: LogFile, offset: number) {
    this.#options = options;
    this.#segments = segments;
    this.#handle = handle;
    this.#offset = offset;
    this.#sequence = recovered.sequence;
    this.#revision = recovered.index.revision;
    this.#snapshot = recovered.snapshot;
    // Of closed segments found at opening only an estimate is needed.
    for (const { file } of segments.slice(0, -1)) this.#sizes.set(file, options.segmentBytes);
  }

  /** Goes on where recovery ended: cuts off a torn tail, removes leftovers, reserves space. */
  static async open(options: LogOptions, recovered: Recovered): Promise<Log> {
    const { files, directory, durable, segmentBytes } = options;
    for (const file of recovered.leftovers) await files.remove(file);
    const last = recovered.segments[recovered.segments.length - 1];
    if (last === undefined) {
      const { segment, handle } = await createSegment(files, {
        directory,
        firstSequence: recovered.sequence,
        baseRevision: recovered.index.revision,
        reserve: segmentBytes,
        durable,
      });
      return new Log(options, recovered, [segment], handle, fileHeaderBytes);
    }
    const handle = await files.open(last.file, { create: false, durable });
    const log = new Log(options, recovered, [...recovered.segments], handle, recovered.offset);
    try {
      await log.#cut(recovered.torn);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
    return log;
  }

  /** From now on snapshots are taken of this. */
  attach(source: Snapshottable): void {
    this.#source = source;
  }

  async commit(changes: readonly Change[]): Promise<void> {
    if (this.#broken) throw this.#broken;
    try {
      if (this.#offset >= this.#options.segmentBytes) await this.#rotate();
    } catch (error) {
      throw this.#refused(error, 'begin a new log segment');
    }
    const data = this.#encode(changes);
    try {
      await this.#handle.write(data, this.#offset);
    } catch (error) {
      const refused = this.#refused(error, 'write to the log');
      if (this.#broken === undefined) await this.#repair(refused);
      throw refused;
    }
    this.#offset += data.length;
    this.#sequence += changes.length;
    for (const change of changes)
      if (change.type === 'put' || change.type === 'delete') this.#revision = change.revision;
  }

  applied(): void {
    if (this.#source === undefined || this.#snapshotting !== undefined || this.#stop.signal.aborted) return;
    const freed = this.#obsolete(this.#source.compactedRevision).bytes;
    // Once the log that can go is larger than the state itself, writing the state again pays.
    if (freed < Math.max(this.#options.snapshotBytes, this.#snapshot?.bytes ?? 0, this.#retryAt)) return;
    this.#snapshotting = this.#takeSnapshot(this.#source)
      .catch(error => {
        this.#retryAt = freed + this.#options.snapshotBytes;
        if (!this.#stop.signal.aborted) {
          this.#options.log?.warn('the snapshot of the store failed; the log is kept and grows', {
            error: String(error),
          });
        }
      })
      .finally(() => {
        this.#snapshotting = undefined;
      });
  }

  async close(): Promise<void> {
    this.#stop.abort(new StoreUnavailableError('the store is closing'));
    await this.#snapshotting;
    // The reserved space goes back; a copy of the directory is then as small as its content.
    if (this.#broken === undefined) await this.#handle.truncate(this.#offset).catch(() => undefined);
    await this.#handle.close();
  }

  #encode(changes: readonly Change[]): Buffer {
    let bytes = 0;
    for (const change of changes) bytes += recordBytes(change);
    let target = this.#scratch;
    if (bytes > target.length) {
      target = Buffer.allocUnsafeSlow(Math.max(bytes, Math.min(2 * target.length, scratchBytes)));
      if (target.length <= scratchBytes) this.#scratch = target;
    }
    const { salt } = this.#segments[this.#segments.length - 1]!;
    let end = 0;
    for (let i = 0; i < changes.length; i++) end = writeRecord(target, end, changes[i]!, i, this.#sequence + i, salt);
    return target.subarray(0, end);
  }

  async #rotate(): Promise<void> {
    const { files, directory, durable, segmentBytes } = this.#options;
    const { segment, handle } = await createSegment(files, {
      directory,
      firstSequence: this.#sequence,
      baseRevision: this.#revision,
      reserve: segmentBytes,
      durable,
    });
    const full = this.#segments[this.#segments.length - 1]!;
    const before = this.#handle;
    this.#sizes.set(full.file, this.#offset);
    this.#segments.push(segment);
    this.#handle = handle;
    this.#offset = fileHeaderBytes;
    // Everything in it is durable already.
    await before
      .close()
      .catch(error => this.#options.log?.warn('closing a full log segment failed', { error: String(error) }));
  }

  /** Removes what a failed commit left: zeros behind the last record again. */
  async #repair(cause: StoreUnavailableError): Promise<void> {
    try {
      await this.#cut(true);
    } catch (error) {
      this.#broken = new StoreUnavailableError(
        `${cause.message}. Cutting off the failed write did not work either (${describe(error)}): restart to go on`,
      );
    }
  }

  async #cut(dirty: boolean): Promise<void> {
    if (dirty) {
      await this.#handle.truncate(this.#offset);
      if (this.#options.durable) await this.#handle.sync();
    }
    await this.#handle.truncate(Math.max(this.#offset, this.#options.segmentBytes));
    if (this.#options.durable) await this.#handle.sync();
  }

  #refused(error: unknown, what: string): StoreUnavailableError {
    const { directory } = this.#options;
    if (diskFull.has((error as NodeJS.ErrnoException).code ?? '')) {
      return new StoreUnavailableError(
        `cannot ${what} in ${directory}: ${describe(error)}. Nothing of this write was kept; free space on that file system and try again`,
      );
    }
    this.#broken = new StoreUnavailableError(
      `cannot ${what} in ${directory}: ${describe(error)}. Writes are refused from now on, since the disk may hold part of the last one; ` +
        'reads go on. Check the disk, then restart',
    );
    return this.#broken;
  }

  /** Closed segments whose writes are all at or before the revision. */
  #obsolete(revision: bigint): { count: number; bytes: number } {
    let count = 0;
    let bytes = 0;
    while (count + 1 < this.#segments.length && this.#segments[count + 1]!.baseRevision <= revision) {
      bytes += this.#sizes.get(this.#segments[count]!.file) ?? 0;
      count++;
    }
    return { count, bytes };
  }

  async #takeSnapshot(source: Snapshottable): Promise<void> {
    const { files, directory, durable } = this.#options;
    const held = source.hold();
    try {
      const before = this.#snapshot;
      this.#snapshot = await writeSnapshot(files, directory, held, { durable, signal: this.#stop.signal });
      this.#retryAt = 0;
      if (before !== undefined && path.basename(before.file) !== path.basename(this.#snapshot.file))
        await files.remove(before.file);
      // Oldest first, so that a crash in between leaves no gap.
      for (let { count } = this.#obsolete(held.revision); count > 0; count--) {
        const { file } = this.#segments[0]!;
        await files.remove(file);
        this.#segments.shift();
        this.#sizes.delete(file);
      }
    } finally {
      held.release();
    }
  }
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
