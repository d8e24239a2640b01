/**
 * What is left in a cluster after a scenario, without what no two runs have in common: uids, versions, times, generations, managed fields, and the
 * random end of generated names, wherever they stand.
 */
import type { Client, DynamicObject, ResourceRef } from '@orbitkit/core';

/** Dropped wherever they stand: they count writes, not what is. */
const volatile = new Set(['resourceVersion', 'generation', 'observedGeneration', 'managedFields', 'selfLink']);
const uid = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;
const time = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;

/** One text an object, sorted. */
export async function endState(
  client: Client,
  kinds: readonly ResourceRef<any>[],
  normalise: (object: DynamicObject) => DynamicObject | undefined,
): Promise<string[]> {
  const lists = await Promise.all(
    kinds.map(async kind => {
      const { items } = await client.list<DynamicObject>(kind);
      return items.map(item => ({ ...item, kind: kind.kind }) as DynamicObject);
    }),
  );
  const objects = lists.flat();
  const replaced = new Map<string, string>();
  for (const { metadata } of objects) {
    if (metadata.generateName) replaced.set(metadata.name, `${metadata.generateName}<random>`);
  }
  const plain = (text: string) => {
    for (const [from, to] of replaced) if (text.includes(from)) text = text.replaceAll(from, to);
    return text.replace(uid, '<uid>').replace(time, '<time>');
  };
  const texts = objects.flatMap(object => {
    const kept = normalise(object);
    return kept === undefined ? [] : [JSON.stringify(sorted(kept, plain), undefined, 1)];
  });
  return texts.sort();
}

/** Keys in order, and lists that are maps (conditions, owners) by their content: their order says nothing. */
function sorted(value: unknown, plain: (text: string) => string): unknown {
  if (typeof value === 'string') return plain(value);
  if (Array.isArray(value)) {
    const items = value.map(item => sorted(item, plain));
    if (!items.every(item => typeof item === 'object' && item !== null)) return items;
    return items.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .filter(([key]) => !volatile.has(key))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, each]) => [plain(key), sorted(each, plain)]));
}
