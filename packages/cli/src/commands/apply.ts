/**
 * `orbit apply`: makes the cluster look like the manifests, and leaves alone what others wrote.
 *
 * The three-way merge of kubectl's client-side apply: what was applied last (kept in an annotation), what is applied now, and what
 * lives there. Both tools understand each other's annotation. With `--server-side` the server does it (`server-side-apply.ts`).
 */
import {
  builtinKinds,
  createMergePatch,
  createStrategicPatch,
  type DynamicObject,
  isNotFound,
  type Patch,
} from '@orbitkit/core';
import type { Command } from 'commander';
import { eachManifest, readManifests } from '../manifests.js';
import { type GlobalFlags, globalFlags, keyIn, objectName, type Session, withSession } from '../session.js';
import { CommandError, type Terminal, write } from '../terminal.js';
import { applyOnServer, conflictAdvice, isOwnershipConflict, lastApplied } from './server-side-apply.js';
import { type Applied, type WriteOptions, writeOptions } from './write-options.js';

interface ApplyFlags extends GlobalFlags {
  filename?: string[];
  recursive?: boolean;
  dryRun?: string;
  validate?: string;
  serverSide?: boolean;
  forceConflicts?: boolean;
  fieldManager?: string;
}

export const fileOption = ['-f, --filename <paths...>', 'files, folders, or - for standard input'] as const;

export function applyCommand(program: Command, terminal: Terminal): void {
  program
    .command('apply')
    .description('create or change objects so that they look like the manifests')
    .option(...fileOption)
    .option('-R, --recursive', 'subfolders too')
    .option('--dry-run <mode>', 'server: validate everything, change nothing')
    .option('--validate <how>', 'strict, warn or ignore unknown fields', 'strict')
    .option('--server-side', 'the server merges, and keeps who owns which field')
    .option('--force-conflicts', 'with --server-side: take fields that other managers own')
    .option('--field-manager <name>', 'who owns what is applied', 'orbit')
    .action(async (_options, command) => {
      const flags = globalFlags(command) as ApplyFlags;
      if (flags.forceConflicts && !flags.serverSide)
        throw new CommandError('--force-conflicts needs --server-side: only the server knows of owners');
      const options = writeOptions(flags, terminal);
      const manifests = await readManifests(flags.filename ?? [], terminal, flags.recursive);
      let conflicts = false;
      const apply = (session: Session, object: DynamicObject) =>
        flags.serverSide
          ? applyOnServer(session, object, flags.forceConflicts ? { ...options, force: true } : options)
          : applyObject(session, object, options);
      try {
        await withSession(flags, terminal, session =>
          eachManifest(manifests, terminal, async ({ object }) => {
            const { name, verb } = await apply(session, object).catch(error => {
              conflicts ||= isOwnershipConflict(error);
              throw error;
            });
            await write(terminal.stdout, `${name} ${verb}${flags.dryRun ? ' (server dry run)' : ''}\n`);
          }),
        );
      } finally {
        if (conflicts) await write(terminal.stderr, conflictAdvice);
      }
    });
}

/** @throws StatusError */
export async function applyObject(session: Session, object: DynamicObject, options: WriteOptions): Promise<Applied> {
  const kind = session.kinds.byKind(object.apiVersion, object.kind);
  const name = objectName(kind, object.metadata.name);
  const key = keyIn(session, kind, object.metadata.name, object.metadata.namespace);
  const wanted = annotated({ ...object, metadata: { ...object.metadata, ...key } });
  let live: DynamicObject;
  try {
    live = await session.client.get(kind, key, { signal: options.signal });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return { name, verb: 'created', object: await session.client.create(kind, wanted, options) };
  }
  const known = builtinKinds.find(
    each => each.group === kind.group && each.version === kind.version && each.kind === kind.kind,
  );
  const text = live.metadata.annotations?.[lastApplied];
  const versions = { original: text ? (JSON.parse(text) as object) : {}, modified: wanted, current: live };
  const patch: Patch = known
    ? { type: 'strategic', patch: createStrategicPatch(versions, known.schema) }
    : { type: 'merge', patch: createMergePatch(versions) };
  if (Object.keys(patch.patch).length === 0) return { name, verb: 'unchanged', object: live };
  const next = await session.client.patch(kind, key, patch, options);
  const same = next.metadata.resourceVersion === live.metadata.resourceVersion;
  return { name, verb: same ? 'unchanged' : 'configured', object: next };
}

/** The object with itself in its annotation, as kubectl writes it: without that annotation, one line, a line end. */
function annotated(object: DynamicObject): DynamicObject {
  const { [lastApplied]: _old, ...annotations } = object.metadata.annotations ?? {};
  const plain = { ...object, metadata: { ...object.metadata, annotations } };
  return {
    ...plain,
    metadata: { ...plain.metadata, annotations: { ...annotations, [lastApplied]: `${JSON.stringify(plain)}\n` } },
  };
}
