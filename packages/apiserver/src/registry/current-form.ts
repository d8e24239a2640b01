/**
 * What is stored, as a write of its kind starts from it: objects that were stored in a form that has since been left (an earlier version, an
 * earlier schema) are brought into the present one first. Such an object counts as stale: a write that changes nothing else stores it anew.
 */
import type { DynamicObject, Kind, StorageForm } from '@orbitkit/core';
import { decodeValue } from '../storage/value.js';
import { type RecentForms, StoredObject, serialize } from './object-bytes.js';

const forms = new WeakMap<Kind, WeakMap<StoredObject, StoredObject>>();

/** True for kinds whose stored objects may need it. */
export const hasForm = (kind: Kind): kind is Kind & { storage: StorageForm } => kind.storage?.kind === kind;

export async function currentForm(
  kind: Kind & { storage: StorageForm },
  stored: StoredObject,
  recent: RecentForms,
): Promise<StoredObject> {
  let made = forms.get(kind);
  if (made === undefined) {
    made = new WeakMap();
    forms.set(kind, made);
  }
  let form = made.get(stored);
  if (form === undefined) {
    const from = stored.object();
    await kind.storage.prepare?.([from]);
    const object = kind.storage.fromStorage(from) as unknown as DynamicObject;
    form = stored;
    if ((object as unknown) !== from) {
      const copy = { ...object, metadata: { ...object.metadata } };
      form = new StoredObject(decodeValue(serialize(copy)), stored.revision, recent, true);
    }
    made.set(stored, form);
  }
  return form;
}
