/**
 * When two pod templates are the same, and the short name of one.
 *
 * Templates are compared as the API server stores them (defaults filled in), without the hash label that the controller
 * adds itself; absent, null and an empty list are one. The hash names things and is never compared: a replica set made
 * by another controller, with another hash of the same template, is found by its template.
 */
import type { PodTemplateSpec } from '../../pods/pod-template.js';

export const templateHashLabel = 'pod-template-hash';

/** Letters that make no words: apimachinery `rand.SafeEncodeString`. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function sameTemplate(a: PodTemplateSpec | undefined, b: PodTemplateSpec | undefined): boolean {
  return canonical(withoutHash(a)) === canonical(withoutHash(b));
}

/** `collisionCount` tells apart two templates that would have the same name. */
export function templateHash(template: PodTemplateSpec, collisionCount = 0): string {
  return shortHash(canonical(withoutHash(template)) + (collisionCount > 0 ? `#${collisionCount}` : ''));
}

/** FNV-1a of 32 bits, in letters. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return Array.from(String(hash), digit => alphabet[digit.charCodeAt(0) % alphabet.length]).join('');
}

function withoutHash(template: PodTemplateSpec | undefined): unknown {
  const labels = template?.metadata?.labels;
  if (!labels?.[templateHashLabel]) return template;
  const { [templateHashLabel]: _hash, ...rest } = labels;
  return { ...template, metadata: { ...template?.metadata, labels: rest } };
}

/** JSON with sorted keys, without nulls and empty lists. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (each === null || (Array.isArray(each) && each.length === 0)) return undefined;
    if (typeof each !== 'object' || Array.isArray(each)) return each;
    return Object.fromEntries(Object.entries(each as object).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
