/**
 * `orbit apply --server-side`: the server merges, and keeps who owns which field. Fields that others own are refused with a conflict that
 * names them, unless `--force-conflicts` takes them.
 *
 * What was applied by the client before moves over first: entries of such writers become ours, as if they had always been applied, and the
 * annotation goes, since nobody speaks of it any more. Source of the rule: client-go `csaupgrade` (which keeps the annotation).
 */
import { type DynamicObject, isNotFound, isStatusError, type metav1 } from '@orbitkit/core';
import { keyIn, objectName, type Session } from '../session.js';
import type { Applied, WriteOptions } from './write-options.js';

/** Where client-side applies keep what they applied last. */
export const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';

export interface ServerSideOptions extends WriteOptions {
  force?: boolean;
}

type Fields = { [name: string]: Fields };

/** Writers of client-side applies. */
const clientSide = ['orbit', 'kubectl-client-side-apply'];

/** @throws StatusError Conflict with a cause for each field that another manager owns */
export async function applyOnServer(
  session: Session,
  object: DynamicObject,
  options: ServerSideOptions,
): Promise<Applied> {
  const kind = session.kinds.byKind(object.apiVersion, object.kind);
  const key = keyIn(session, kind, object.metadata.name, object.metadata.namespace);
  if (!options.dryRun) await takeOver(session, kind, key, options);
  const applied = await session.client.apply(kind, { ...object, metadata: { ...object.metadata, ...key } }, options);
  return { name: objectName(kind, object.metadata.name), verb: 'serverside-applied', object: applied };
}

export const isOwnershipConflict = (error: unknown): boolean =>
  isStatusError(error) && (error.details.causes ?? []).some(({ reason }) => reason === 'FieldManagerConflict');

export const conflictAdvice = `Other managers own these fields. To take them, apply again with --force-conflicts; to leave them, drop them from the
manifest; to share them, give them the value that they have.
`;

async function takeOver(
  session: Session,
  kind: Parameters<Session['client']['get']>[0],
  key: { name: string; namespace?: string },
  { fieldManager, signal }: ServerSideOptions,
): Promise<void> {
  let live: DynamicObject;
  try {
    live = (await session.client.get(kind, key, { signal })) as DynamicObject;
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  if (live.metadata.annotations?.[lastApplied] === undefined) return;
  const moved = movedOwnership(live.metadata.managedFields ?? [], fieldManager);
  if (!moved) return;
  // Not written over what another has changed meanwhile: it is refused then, and said so.
  const patch = [
    { op: 'test' as const, path: '/metadata/resourceVersion', value: live.metadata.resourceVersion },
    { op: 'replace' as const, path: '/metadata/managedFields', value: moved },
  ];
  await session.client.patch(kind, key, { type: 'json', patch }, { fieldManager, signal });
}

/** Undefined when no client-side writer owns anything. */
export function movedOwnership(
  entries: readonly metav1.ManagedFieldsEntry[],
  manager: string,
): metav1.ManagedFieldsEntry[] | undefined {
  const isOld = (entry: metav1.ManagedFieldsEntry) =>
    entry.operation === 'Update' && !entry.subresource && clientSide.includes(entry.manager ?? '');
  const isOurs = (entry: metav1.ManagedFieldsEntry) =>
    entry.operation === 'Apply' && !entry.subresource && entry.manager === manager;
  const [first, ...more] = entries.filter(isOld);
  if (!first) return undefined;
  const ours = entries.find(isOurs);
  const fields = [first, ...more, ...(ours ? [ours] : [])].map(entry => (entry.fieldsV1 ?? {}) as Fields).reduce(union);
  const rest = entries.filter(entry => !isOld(entry) && !isOurs(entry));
  return [{ ...first, manager, operation: 'Apply', fieldsV1: fields }, ...rest];
}

const union = (a: Fields, b: Fields): Fields => {
  const all = { ...a };
  for (const [name, below] of Object.entries(b)) all[name] = all[name] ? union(all[name], below) : below;
  return all;
};
