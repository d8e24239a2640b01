/**
 * `orbit snapshot`: saves the whole store of a cluster into one file and puts it back, into the same kind of store or another.
 *
 * `save` asks the running server; with `--data-dir`, or a `--store` that is no etcd of a running server, it reads the store itself.
 * `restore` needs the servers stopped. A file is written whole or not at all, mode 0600: it holds every object of the cluster.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { LoadedSnapshot } from '@orbitkit/apiserver';
import type { Command } from 'commander';
import { fileProblem } from '../files.js';
import { answered, serverTransport } from '../server-transport.js';
import { defaultStateDirectory, type GlobalFlags, globalFlags } from '../session.js';
import { type StoreFlags, storeOptions } from '../store-flags.js';
import { CommandError, type Terminal } from '../terminal.js';
import { pathIn } from './options.js';

interface SnapshotFlags extends GlobalFlags, StoreFlags {
  dataDir?: string;
  overwrite?: boolean;
}

const offline = (command: Command): Command =>
  storeOptions(command).option('--data-dir <dir>', 'of a cluster whose servers do not run: its store is opened here');

export function snapshotCommand(program: Command, terminal: Terminal): void {
  const snapshot = program.command('snapshot').description('save, restore and check the whole state of a cluster');

  offline(
    snapshot
      .command('save')
      .description('write everything that the cluster keeps into one file')
      .argument('<file>', 'is replaced when it exists'),
  ).action(async (file: string, _flags, command) => {
    const flags = globalFlags(command) as SnapshotFlags;
    const target = pathIn(terminal, file);
    const { loadSnapshot } = await import('@orbitkit/apiserver');
    const temporary = `${target}.${process.pid}.tmp`;
    const handle: FileHandle = await open(temporary, 'wx', 0o600).catch(error => {
      throw fileProblem(file, error);
    });
    try {
      for await (const chunk of contentOf(flags, terminal)) await handle.writeFile(chunk);
      await handle.sync();
      await handle.close();
      // What cannot be read back is no backup.
      const saved = await loadSnapshot(createReadStream(temporary), file);
      await rename(temporary, target);
      const directory = await open(dirname(target), 'r');
      await directory.sync().finally(() => directory.close());
      terminal.stdout.write(
        `${file}: ${saved.entries.length} objects at revision ${saved.revision}, ${saved.bytes} bytes. Encrypted ones need encryption.yaml to be read again: keep a copy of it elsewhere\n`,
      );
    } catch (error) {
      await handle.close().catch(() => undefined);
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
  });

  offline(
    snapshot
      .command('restore')
      .description('put a snapshot into a store; no server of it may run')
      .argument('<file>')
      .option('--overwrite', 'what the store holds may go'),
  ).action(async (file: string, _flags, command) => {
    const flags = globalFlags(command) as SnapshotFlags;
    const saved = await load(file, terminal);
    const { chosenStore } = await import('../store-options.js');
    const dataDir = pathIn(terminal, flags.dataDir ?? defaultStateDirectory(terminal.env));
    const store = await chosenStore(flags, dataDir, terminal);
    const overwrite = flags.overwrite === true;
    let revision: bigint;
    if (store.type === 'embedded') {
      const { restoreDirectory } = await import('@orbitkit/apiserver');
      revision = await restoreDirectory({ dir: store.dir, snapshot: saved, overwrite });
    } else if (store.type === 'etcd') {
      const { restoreEtcd } = await import('@orbitkit/apiserver/etcd');
      revision = await restoreEtcd(store.options, { snapshot: saved, overwrite });
    } else
      throw new CommandError(
        '--store memory: a store in memory ends with its process; there is nothing to restore into',
      );
    terminal.stdout.write(
      `${saved.entries.length} objects restored; revisions go on from ${revision}, so clients list again by themselves\n`,
    );
  });

  snapshot
    .command('status')
    .description('check a snapshot and say what is in it')
    .argument('<file>')
    .action(async (file: string) => {
      const { snapshotStatus } = await import('@orbitkit/apiserver');
      const { revision, entries, leases, bytes, resources } = snapshotStatus(await load(file, terminal));
      terminal.stdout.write(`intact: revision ${revision}, ${entries} objects, ${leases} leases, ${bytes} bytes\n`);
      for (const [resource, count] of [...resources].sort())
        terminal.stdout.write(`${String(count).padStart(8)}  ${resource}\n`);
    });
}

async function load(file: string, terminal: Terminal): Promise<LoadedSnapshot> {
  const { loadSnapshot } = await import('@orbitkit/apiserver');
  const path = pathIn(terminal, file);
  await stat(path).catch(error => {
    throw fileProblem(file, error);
  });
  return loadSnapshot(createReadStream(path, { highWaterMark: 1024 * 1024 }), file);
}

/** From the server, or from the store that the flags name. */
async function* contentOf(flags: SnapshotFlags, terminal: Terminal): AsyncGenerator<Uint8Array, void, void> {
  if (flags.dataDir === undefined && flags.store === 'embedded') {
    yield* fromServer(flags, terminal);
    return;
  }
  const { chosenStore, storeFactory } = await import('../store-options.js');
  const { saveSnapshot } = await import('@orbitkit/apiserver');
  const dataDir = pathIn(terminal, flags.dataDir ?? defaultStateDirectory(terminal.env));
  const chosen = await chosenStore(flags, dataDir, terminal);
  if (chosen.type === 'memory') throw new CommandError('--store memory: only the server that runs can read its memory');
  if (chosen.type === 'embedded') {
    // Opening a store makes one; a directory without one must not become an empty backup.
    const { checkDirectory } = await import('@orbitkit/apiserver');
    await checkDirectory(chosen.dir).catch(error => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw new CommandError(`${chosen.dir}: there is no store`);
      throw error;
    });
  }
  const store = await (await storeFactory(chosen))();
  try {
    yield* saveSnapshot(store, { signal: terminal.signal });
  } finally {
    await store.close();
  }
}

async function* fromServer(flags: SnapshotFlags, terminal: Terminal): AsyncGenerator<Uint8Array, void, void> {
  const transport = await serverTransport(flags, terminal);
  try {
    const path = '/orbitkit/snapshot';
    yield* (await answered(await transport.request({ method: 'GET', path, stream: true, signal: terminal.signal })))
      .body;
  } finally {
    await transport.close();
  }
}
