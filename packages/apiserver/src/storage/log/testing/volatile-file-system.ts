/**
 * A file system in memory that knows what would survive a crash: the fault layer under the crash tests.
 *
 * A write to a file opened `durable` survives once it is done; other writes and truncations survive after `sync`; names that were created,
 * renamed or removed after `syncDirectory`. `crash` makes the file system that a machine finds after losing power now: everything that was
 * synced, and of the rest what the test chooses, down to parts of a single write. Beyond that, operations can be held, counted
 * and made to fail.
 */
import path from 'node:path';
import type { FileSystem, LogFile } from '../file-system.js';

type Pending =
  | { readonly type: 'write'; readonly position: number; readonly data: Buffer }
  | { readonly type: 'truncate'; readonly size: number };

class Inode {
  synced: Buffer = Buffer.alloc(0);
  current: Buffer = Buffer.alloc(0);
  /** What is in `current` but not in `synced`, in order. */
  pending: Pending[] = [];
}

function applied(content: Buffer, change: Pending): Buffer {
  const size =
    change.type === 'truncate' ? change.size : Math.max(content.length, change.position + change.data.length);
  const next = Buffer.alloc(size);
  content.copy(next, 0, 0, Math.min(size, content.length));
  if (change.type === 'write') change.data.copy(next, change.position);
  return next;
}

/** What of the things not synced has reached the disk all the same. */
export interface CrashChoice {
  /** For each pending change of a file: how much of it. Default: nothing. A list of ranges keeps those bytes of a write. */
  change?: (
    file: string,
    index: number,
    bytes: number,
  ) => 'none' | 'all' | readonly (readonly [from: number, to: number])[];
  /** Which changes of names since the directory was synced were kept, in whatever order the disk liked. Default: none. */
  names?: (change: NameChange) => boolean;
}

export interface NameChange {
  readonly type: 'create' | 'rename' | 'remove';
  readonly file: string;
}

export interface Operation {
  readonly type: 'open' | 'write' | 'truncate' | 'sync' | 'close' | 'rename' | 'remove' | 'syncDirectory' | 'read';
  readonly file: string;
  readonly bytes: number;
}

/** `proceed`, or what happens instead: it never ends, or it fails, a write after so many bytes. */
export type Fate = 'proceed' | 'hang' | { readonly code: string; readonly written?: number };

export class VolatileFileSystem implements FileSystem {
  /** Asked before each operation. */
  fate: (operation: Operation) => Fate = () => 'proceed';
  #names = new Map<string, Inode>();
  #syncedNames = new Map<string, Inode>();
  #nameChanges: (NameChange & { apply(names: Map<string, Inode>): void })[] = [];

  async makeDirectory(): Promise<void> {}
  async lockDirectory(): Promise<{ release(): Promise<void> }> {
    return { release: async () => undefined };
  }

  async list(directory: string): Promise<string[]> {
    return [...this.#names.keys()].filter(file => path.dirname(file) === directory).map(file => path.basename(file));
  }

  async readFile(file: string): Promise<Buffer> {
    await this.#meet({ type: 'read', file, bytes: 0 });
    return Buffer.from(this.#inode(file).current);
  }

  async *readChunks(file: string): AsyncGenerator<Buffer> {
    const content = await this.readFile(file);
    // Small ones, so that records straddle them.
    for (let at = 0; at < content.length; at += 100) yield content.subarray(at, at + 100);
  }

  async open(file: string, { create, durable }: { create: boolean; durable: boolean }): Promise<LogFile> {
    await this.#meet({ type: 'open', file, bytes: 0 });
    if (create && this.#names.has(file)) throw failure('EEXIST', file);
    if (create) {
      const created = new Inode();
      this.#rename({ type: 'create', file, apply: names => names.set(file, created) });
    }
    const inode = this.#inode(file);
    const sync = () => {
      inode.synced = inode.current;
      inode.pending = [];
    };
    return {
      write: async (data, position) => {
        // The caller may use its buffer again.
        const copy = Buffer.from(data);
        const change = { type: 'write', position, data: copy } as const;
        const before = inode.current;
        const pendingBefore = inode.pending.length;
        inode.pending.push(change);
        inode.current = applied(inode.current, change);
        const fate = await this.#meet({ type: 'write', file, bytes: copy.length }, partial => {
          const part = { type: 'write', position, data: copy.subarray(0, partial) } as const;
          inode.pending[pendingBefore] = part;
          inode.current = applied(before, part);
        });
        // A durable write brings what came before it in this file along, as far as it needs it: the size.
        if (fate === 'proceed' && durable) sync();
      },
      truncate: async size => {
        await this.#meet({ type: 'truncate', file, bytes: size });
        const change = { type: 'truncate', size } as const;
        inode.pending.push(change);
        inode.current = applied(inode.current, change);
      },
      sync: async () => {
        await this.#meet({ type: 'sync', file, bytes: 0 });
        sync();
      },
      close: async () => {
        await this.#meet({ type: 'close', file, bytes: 0 });
      },
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#meet({ type: 'rename', file: to, bytes: 0 });
    const inode = this.#inode(from);
    this.#rename({
      type: 'rename',
      file: to,
      apply: names => {
        names.delete(from);
        names.set(to, inode);
      },
    });
  }

  async remove(file: string): Promise<void> {
    await this.#meet({ type: 'remove', file, bytes: 0 });
    this.#inode(file);
    this.#rename({ type: 'remove', file, apply: names => names.delete(file) });
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#meet({ type: 'syncDirectory', file: directory, bytes: 0 });
    this.#syncedNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  /** The file system after a crash at this moment. This one can still be asked for other crashes. */
  crash(choice: CrashChoice = {}): VolatileFileSystem {
    const after = new VolatileFileSystem();
    const names = new Map(this.#syncedNames);
    for (const change of this.#nameChanges) if (choice.names?.(change)) change.apply(names);
    for (const [file, inode] of names) {
      const survivor = new Inode();
      survivor.synced = inode.synced;
      inode.pending.forEach((change, index) => {
        const bytes = change.type === 'write' ? change.data.length : 0;
        const kept = choice.change?.(file, index, bytes) ?? 'none';
        if (kept === 'none') return;
        if (kept === 'all') survivor.synced = applied(survivor.synced, change);
        else if (change.type === 'write') {
          for (const [start, end] of kept) {
            const data = change.data.subarray(start, end);
            if (data.length > 0)
              survivor.synced = applied(survivor.synced, { type: 'write', position: change.position + start, data });
          }
        }
      });
      survivor.current = survivor.synced;
      after.#names.set(file, survivor);
      after.#syncedNames.set(file, survivor);
    }
    return after;
  }

  /** The bytes of a file, for tests that look at or damage them. */
  content(file: string): Buffer {
    return this.#inode(file).current;
  }
  replace(file: string, content: Buffer): void {
    const inode = this.#inode(file);
    inode.current = content;
    inode.synced = content;
  }
  files(): string[] {
    return [...this.#names.keys()].sort();
  }

  #rename(change: NameChange & { apply(names: Map<string, Inode>): void }): void {
    change.apply(this.#names);
    this.#nameChanges.push(change);
  }

  #inode(file: string): Inode {
    const inode = this.#names.get(file);
    if (inode === undefined) throw failure('ENOENT', file);
    return inode;
  }

  async #meet(operation: Operation, onPartial?: (written: number) => void): Promise<'proceed'> {
    const fate = this.fate(operation);
    await Promise.resolve();
    if (fate === 'proceed') return fate;
    if (fate === 'hang') return new Promise(() => undefined);
    onPartial?.(fate.written ?? 0);
    throw failure(fate.code, operation.file);
  }
}

const failure = (code: string, file: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${code}: injected, ${file}`), { code });
