/**
 * `metadata.managedFields`: who owns which fields. An entry belongs to a manager, an operation, a subresource and (of updates) an
 * API version; its set is kept in the form of the wire (field-set.ts), so reading and writing cost nothing.
 *
 * Order: Apply before Update, then by time, manager, API version, subresource. At most ten Update entries: the oldest are merged,
 * per API version, into one of the manager `ancient-changes`. Source: apimachinery `util/managedfields`.
 */
import type { ManagedFieldsEntry } from '../kinds/generated/types/meta-v1.js';
import { type FieldSet, isEmptySet, readFieldSet, union } from './field-set.js';

/** One entry whose set is canonical. */
export interface FieldManager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly time?: string;
  readonly fieldsType: 'FieldsV1';
  readonly fieldsV1: FieldSet;
  readonly subresource?: string;
}

/** In the order of the wire; a list is not changed, a write makes a new one. */
export type FieldManagers = readonly FieldManager[];

const mostUpdateManagers = 10;
const oldUpdates = 'ancient-changes';

interface Identity extends Pick<FieldManager, 'manager' | 'operation' | 'apiVersion'> {
  readonly subresource?: string | undefined;
}

/** Whether two entries are one and the same: the API version counts for updates only. */
export function sameManager(a: Identity, b: Identity): boolean {
  return (
    a.manager === b.manager &&
    a.operation === b.operation &&
    (a.subresource ?? '') === (b.subresource ?? '') &&
    (a.operation === 'Apply' || a.apiVersion === b.apiVersion)
  );
}

/** The member order of the wire. */
export function managerEntry(identity: Identity, fields: FieldSet, time: string | undefined): FieldManager {
  const { manager, operation, apiVersion, subresource } = identity;
  return {
    manager,
    operation,
    apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: fields,
    ...(subresource ? { subresource } : {}),
  };
}

/** The entry with another set; the entry itself when it is the same. */
export const withFields = (entry: FieldManager, fields: FieldSet): FieldManager =>
  fields === entry.fieldsV1 ? entry : managerEntry(entry, fields, entry.time);

const byTime = (a: FieldManager, b: FieldManager): number => compareText(a.time ?? '', b.time ?? '');
const compareText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1);

function compareManagers(a: FieldManager, b: FieldManager): number {
  return (
    compareText(a.operation, b.operation) ||
    byTime(a, b) ||
    compareText(a.manager, b.manager) ||
    compareText(a.apiVersion, b.apiVersion) ||
    compareText(a.subresource ?? '', b.subresource ?? '')
  );
}

/** In order, without entries that own nothing, and with at most ten of updates. */
export function settled(entries: readonly FieldManager[]): FieldManagers {
  const owning = entries.filter(entry => !isEmptySet(entry.fieldsV1));
  const updates = owning.filter(entry => entry.operation === 'Update').length;
  return (updates > mostUpdateManagers ? capped(owning, updates) : owning).sort(compareManagers);
}

function capped(entries: FieldManager[], updates: number): FieldManager[] {
  const rest = new Set(entries);
  const oldest = entries
    .filter(entry => entry.operation === 'Update')
    .sort((a, b) => byTime(a, b) || compareText(a.manager, b.manager));
  const buckets = new Map<string, FieldManager>();
  let left = updates;
  for (const entry of oldest) {
    if (left <= mostUpdateManagers) break;
    const bucket = buckets.get(entry.apiVersion);
    if (bucket === undefined) {
      buckets.set(entry.apiVersion, entry);
      continue;
    }
    rest.delete(bucket);
    rest.delete(entry);
    const merged = managerEntry(
      { manager: oldUpdates, operation: 'Update', apiVersion: entry.apiVersion },
      union(bucket.fieldsV1, entry.fieldsV1),
      entry.time,
    );
    buckets.set(entry.apiVersion, merged);
    rest.add(merged);
    left -= 1;
  }
  return [...rest];
}

/**
 * The entries that a client sent or an older server stored, with canonical sets.
 * @returns Undefined when one of them cannot be understood.
 */
export function readManagers(entries: readonly ManagedFieldsEntry[]): FieldManagers | undefined {
  const managers: FieldManager[] = [];
  for (const { manager, operation, apiVersion, time, fieldsType, fieldsV1, subresource } of entries) {
    if ((operation !== 'Apply' && operation !== 'Update') || !apiVersion || fieldsType !== 'FieldsV1') return undefined;
    let fields: FieldSet;
    try {
      fields = readFieldSet(fieldsV1 ?? {});
    } catch {
      return undefined;
    }
    const identity = {
      manager: manager ?? '',
      operation: operation as FieldManager['operation'],
      apiVersion,
      ...(subresource ? { subresource } : {}),
    };
    const at = managers.findIndex(each => sameManager(each, identity));
    const entry = managerEntry(identity, fields, time);
    // Two entries of one manager: the last one counts, as in a map.
    if (at < 0) managers.push(entry);
    else managers[at] = entry;
  }
  return managers;
}

const keptTexts = new WeakMap<FieldSet, string>();

/** Makes the text of a set that many entries will share. */
export const keepText = (fields: FieldSet): void => void keptTexts.set(fields, JSON.stringify(fields));

/** `JSON.stringify(managers)`; what is known of the sets is not made again. */
export function managersText(managers: FieldManagers): string {
  let text = '[';
  for (const entry of managers) text += text === '[' ? entryText(entry) : `,${entryText(entry)}`;
  return `${text}]`;
}

function entryText(entry: FieldManager): string {
  const fields = keptTexts.get(entry.fieldsV1);
  if (fields === undefined) return JSON.stringify(entry);
  let text = '';
  for (const name in entry) {
    const value = entry[name as keyof FieldManager];
    if (value === undefined) continue;
    text += `${text === '' ? '{' : ','}"${name}":${name === 'fieldsV1' ? fields : JSON.stringify(value)}`;
  }
  return `${text}}`;
}

/** `managedFields: [{}]` asks that nobody own anything. */
export function isReset(entries: readonly ManagedFieldsEntry[]): boolean {
  return entries.length === 1 && Object.values(entries[0]!).every(value => value === undefined || value === '');
}

/** The same owners of the same fields; times may differ. */
export function sameOwnership(a: FieldManagers, b: FieldManagers): boolean {
  return (
    a.length === b.length &&
    a.every((entry, index) => {
      const other = b[index]!;
      return (
        sameManager(entry, other) &&
        entry.apiVersion === other.apiVersion &&
        (entry.fieldsV1 === other.fieldsV1 || JSON.stringify(entry.fieldsV1) === JSON.stringify(other.fieldsV1))
      );
    })
  );
}
