/** `orbit delete`: by manifest, name, label or all of a type; waits until they are gone. */
import { type DeleteOptions, type DiscoveredKind, isNotFound, isStatusError } from '@orbitkit/core';
import type { Command } from 'commander';
import { readManifests } from '../manifests.js';
import { during } from '../progress.js';
import { labelOption, type SelectorFlags, selectorsOf } from '../selector-flags.js';
import { type GlobalFlags, globalFlags, keyIn, objectName, type Session, targetsOf, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';
import { fileOption } from './apply.js';

interface DeleteFlags extends GlobalFlags, SelectorFlags {
  filename?: string[];
  recursive?: boolean;
  all?: boolean;
  gracePeriod?: string;
  now?: boolean;
  force?: boolean;
  cascade: string;
  wait: boolean;
  timeout: string;
  ignoreNotFound?: boolean;
}

const policies = { background: 'Background', foreground: 'Foreground', orphan: 'Orphan' } as const;

export function deleteCommand(program: Command, terminal: Terminal): void {
  program
    .command('delete')
    .alias('del')
    .description('delete objects: orbit delete pod web, orbit delete -f FILE, orbit delete pods -l app=web')
    .argument('[type...]', 'TYPE NAME... or TYPE/NAME...')
    .option(...fileOption)
    .option('-R, --recursive', 'subfolders too')
    .addOption(labelOption('all with these labels'))
    .option('--all', 'all of this type in the namespace')
    .option('--grace-period <seconds>', 'how long pods may take to end')
    .option('--now', 'one second of grace')
    .option('--force', 'with --grace-period 0: do not wait for the node')
    .option('--cascade <how>', 'background, foreground or orphan', 'background')
    .option('--no-wait', 'do not wait until they are gone')
    .option('--timeout <seconds>', 'bound on the wait', '300')
    .option('--ignore-not-found', 'what is not there is no error')
    .action(async (words: string[], _options, command) => {
      const flags = globalFlags(command) as DeleteFlags;
      const manifests = flags.filename ? await readManifests(flags.filename, terminal, flags.recursive) : [];
      await withSession(flags, terminal, async session => {
        const found: { kind: DiscoveredKind; name: string; namespace: string }[] = manifests.map(({ object }) => ({
          kind: session.kinds.byKind(object.apiVersion, object.kind),
          name: object.metadata.name,
          namespace: object.metadata.namespace ?? session.namespace,
        }));
        if (words.length > 0) found.push(...(await named(session, words, flags)));
        else if (manifests.length === 0)
          throw new CommandError('what shall be deleted? TYPE NAME, TYPE -l LABELS, TYPE --all, or -f FILE');
        await remove(session, found, flags, terminal);
      });
    });
}

async function named(session: Session, words: string[], flags: DeleteFlags) {
  const { kinds, targets } = targetsOf(session, words);
  if (targets.length > 0) return targets.map(target => ({ ...target, namespace: session.namespace }));
  if (!flags.all && !flags.selector) throw new CommandError('name the objects, or say -l LABELS or --all');
  const found = [];
  for (const kind of kinds) {
    const list = await session.client.list(kind, {
      ...(kind.namespaced ? { namespace: session.namespace } : {}),
      ...selectorsOf(flags),
    });
    for (const item of list.items) found.push({ kind, name: item.metadata.name, namespace: session.namespace });
  }
  return found;
}

function deleteOptions(flags: DeleteFlags, terminal: Terminal): DeleteOptions {
  const propagationPolicy = policies[flags.cascade as keyof typeof policies];
  if (!propagationPolicy) throw new CommandError(`--cascade ${flags.cascade}: background, foreground or orphan`);
  let seconds = flags.gracePeriod === undefined ? undefined : Number(flags.gracePeriod);
  if (seconds !== undefined && !(Number.isInteger(seconds) && seconds >= 0))
    throw new CommandError(`--grace-period ${flags.gracePeriod}: a whole number of seconds`);
  if (flags.now) seconds ??= 1;
  if (flags.force) seconds ??= 0;
  if (seconds === 0 && !flags.force)
    throw new CommandError('--grace-period 0 needs --force: the node is not asked, the pod may go on running there');
  return {
    propagationPolicy,
    signal: terminal.signal,
    ...(seconds === undefined ? {} : { gracePeriodSeconds: seconds }),
  };
}

async function remove(
  session: Session,
  found: readonly { kind: DiscoveredKind; name: string; namespace: string }[],
  flags: DeleteFlags,
  terminal: Terminal,
): Promise<void> {
  const options = deleteOptions(flags, terminal);
  const leaving: (typeof found)[number][] = [];
  let failures = 0;
  for (const target of found) {
    const key = keyIn(session, target.kind, target.name, target.namespace);
    try {
      const left = await session.client.delete(target.kind, key, options);
      await write(terminal.stdout, `${objectName(target.kind, target.name)} deleted\n`);
      if (left) leaving.push(target);
    } catch (error) {
      if (!isStatusError(error) || (isNotFound(error) && flags.ignoreNotFound)) {
        if (isStatusError(error)) continue;
        throw error;
      }
      failures += 1;
      terminal.stderr.write(`Error: ${error.message}\n`);
    }
  }
  if (flags.wait && leaving.length > 0) {
    await during(terminal, `waiting for ${leaving.length} to be gone`, async progress => {
      const bound = AbortSignal.any([terminal.signal, AbortSignal.timeout(Number(flags.timeout) * 1_000)]);
      for (const [index, target] of leaving.entries()) {
        progress.say(`waiting for ${objectName(target.kind, target.name)} (${index + 1} of ${leaving.length})`);
        await gone(session, target.kind, keyIn(session, target.kind, target.name, target.namespace), bound).catch(
          error => {
            if (bound.aborted && !terminal.signal.aborted)
              throw new CommandError(`${objectName(target.kind, target.name)} is still there after ${flags.timeout} s`);
            throw error;
          },
        );
      }
    });
  }
  if (failures > 0) throw new CommandError(`${failures} of ${found.length} could not be deleted`);
}

/** Resolves when the object is gone, or another of its name has taken its place. */
async function gone(
  session: Session,
  kind: DiscoveredKind,
  key: { name: string; namespace?: string },
  signal: AbortSignal,
): Promise<void> {
  const fieldSelector = `metadata.name=${key.name}`;
  const scope = key.namespace ? { namespace: key.namespace } : {};
  for (;;) {
    const list = await session.client.list(kind, { ...scope, fieldSelector, signal });
    const object = list.items[0];
    if (!object) return;
    for await (const event of session.client.watch(kind, {
      ...scope,
      fieldSelector,
      resourceVersion: list.metadata.resourceVersion,
      signal,
    })) {
      if (event.type === 'DELETED' && event.object.metadata.uid === object.metadata.uid) return;
    }
  }
}
