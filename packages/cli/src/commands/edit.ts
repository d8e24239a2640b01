/** `orbit edit`: the object in your editor; what you changed goes back as a patch, and is refused when someone else was faster. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMergePatch, type DynamicObject, isStatusError } from '@orbitkit/core';
import { loadManifests } from '@orbitkit/core/manifest';
import type { Command } from 'commander';
import { objectText, shown } from '../output.js';
import {
  type GlobalFlags,
  globalFlags,
  keyIn,
  objectName,
  type Session,
  type Target,
  targetsOf,
  withSession,
} from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';

export function editCommand(program: Command, terminal: Terminal): void {
  program
    .command('edit')
    .description('change an object in your editor ($ORBIT_EDITOR, $KUBE_EDITOR, $EDITOR, or vi)')
    .argument('<type...>', 'TYPE NAME or TYPE/NAME')
    .action(async (words: string[], _options, command) => {
      await withSession(globalFlags(command) as GlobalFlags, terminal, async session => {
        const { targets } = targetsOf(session, words);
        if (targets.length !== 1) throw new CommandError('edit takes one object: TYPE NAME or TYPE/NAME');
        await edit(session, targets[0]!, terminal);
      });
    });
}

async function edit(session: Session, { kind, name }: Target, terminal: Terminal): Promise<void> {
  const key = keyIn(session, kind, name);
  const before = await session.client.get(kind, key);
  const folder = await mkdtemp(join(tmpdir(), 'orbit-edit-'));
  const file = join(folder, `${kind.plural}-${name}.yaml`);
  const head = '# Change the object below. Lines that begin with # are left out; an unchanged file changes nothing.\n';
  const text = head + (await objectText(shown(before), 'yaml'));
  let keep = false;
  try {
    await writeFile(file, text, { mode: 0o600 });
    await openEditor(file, terminal);
    const changed = await readFile(file, 'utf8');
    if (changed === text) return await write(terminal.stdout, 'Edit cancelled, no changes made.\n');
    keep = true;
    const after = loadManifests(changed, { file })[0]?.object;
    if (!after) throw new CommandError(`${file}: the object is gone from the file`);
    const patch = createMergePatch({
      original: shown(before),
      modified: after,
      current: shown(before),
    }) as unknown as Partial<DynamicObject>;
    if (Object.keys(patch).length === 0) {
      keep = false;
      return await write(terminal.stdout, 'Edit cancelled, no changes made.\n');
    }
    // The version that was edited is the condition: a change by someone else meanwhile is a conflict, not lost.
    patch.metadata = {
      ...patch.metadata,
      resourceVersion: before.metadata.resourceVersion,
    } as DynamicObject['metadata'];
    await session.client.patch(
      kind,
      key,
      { type: 'merge', patch },
      { fieldManager: 'orbit-edit', fieldValidation: 'Strict' },
    );
    keep = false;
    await write(terminal.stdout, `${objectName(kind, name)} edited\n`);
  } catch (error) {
    if (keep && isStatusError(error)) throw new CommandError(`${error.message}\nYour text is kept in ${file}`);
    throw error;
  } finally {
    if (!keep) await rm(folder, { recursive: true, force: true });
  }
}

function openEditor(file: string, { env, cwd, signal }: Terminal): Promise<void> {
  const editor = env.ORBIT_EDITOR ?? env.KUBE_EDITOR ?? env.EDITOR ?? 'vi';
  return new Promise((resolve, reject) => {
    // The variable may hold options ("code --wait"), as with kubectl and git; the file is an argument of its own.
    const child = spawn('/bin/sh', ['-c', `${editor} "$1"`, 'sh', file], {
      cwd,
      env: { ...env },
      stdio: 'inherit',
      signal,
    });
    child.once('error', error =>
      reject(new CommandError(`the editor "${editor}" cannot be started: ${error.message}`)),
    );
    child.once('close', code =>
      code === 0
        ? resolve()
        : reject(new CommandError(`the editor "${editor}" ended with exit code ${code}; nothing was changed`)),
    );
  });
}
