/**
 * The order of a merged list: elements that the patch names keep the patch's relative order, the others keep the live
 * list's, and the two are interleaved so that a live element stays before a patched one where the live list had them so.
 *
 * A patched element that the live list does not have therefore comes before the live elements that follow: at the front,
 * when nothing else holds it back. Source: "Preserve order in strategic merge patch" (Kubernetes CLI design), apimachinery
 * `strategicpatch`.
 */
import type { Json } from './json.js';

/** What tells elements apart: the merge key's value, or the element itself. */
export type Identity = (element: Json) => Json;

function positions(list: readonly Json[], identity: Identity): Map<Json, number> {
  const index = new Map<Json, number>();
  for (const [at, element] of list.entries()) {
    const key = identity(element);
    if (!index.has(key)) index.set(key, at);
  }
  return index;
}

/**
 * @param merged The elements to put in order.
 * @param wanted Elements whose order the patch gives.
 * @param live The list before the patch.
 */
export function orderElements(
  merged: readonly Json[],
  wanted: readonly Json[],
  live: readonly Json[],
  identity: Identity,
): Json[] {
  const inPatch = positions(wanted, identity);
  const inLive = positions(live, identity);
  const rank = (index: Map<Json, number>) => (a: Json, b: Json) =>
    (index.get(identity(a)) ?? Number.MAX_SAFE_INTEGER) - (index.get(identity(b)) ?? Number.MAX_SAFE_INTEGER);
  const patched = merged.filter(element => inPatch.has(identity(element))).sort(rank(inPatch));
  const others = merged.filter(element => !inPatch.has(identity(element))).sort(rank(inLive));

  const result: Json[] = [];
  let next = 0;
  for (const other of others) {
    const place = inLive.get(identity(other));
    while (next < patched.length) {
      const rival = inLive.get(identity(patched[next]!));
      if (place !== undefined && rival !== undefined && place < rival) break;
      result.push(patched[next]!);
      next += 1;
    }
    result.push(other);
  }
  return [...result, ...patched.slice(next)];
}
