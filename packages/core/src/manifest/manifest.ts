/**
 * The API objects of a manifest file: every document, lists expanded to their items, each with its place.
 *
 * Checked here is only what makes a document an API object: a mapping with `apiVersion`, `kind` and `metadata`. What the
 * fields mean is the server's to check; its field paths are turned into places with `locate`.
 */
import type { DynamicObject } from '../meta/object.js';
import { type LoadOptions, loadDocuments, locate, type ManifestDocument } from './document.js';
import { ManifestError, type ManifestProblem } from './problem.js';

/** One API object of a file. An item of a list has its own place. */
export interface Manifest extends Omit<ManifestDocument, 'value'> {
  readonly object: DynamicObject;
}

const isMapping = (value: unknown): value is Record<string, any> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** @throws ManifestError with every problem found. */
export function loadManifests(text: string, options: LoadOptions = {}): Manifest[] {
  const problems: ManifestProblem[] = [];
  const manifests = loadDocuments(text, options).flatMap(document => expand(document, problems));
  if (problems.length > 0) throw new ManifestError(problems);
  return manifests;
}

/** The document, or the items of the list that it is. Lists in lists are expanded too. */
function expand(
  document: ManifestDocument,
  problems: ManifestProblem[],
  listKind?: { apiVersion: string; kind: string },
): Manifest[] {
  const { value, ...where } = document;
  const say = (field: string, message: string) => problems.push({ ...locate(document, field), message });
  if (!isMapping(value)) {
    const found = Array.isArray(value) ? 'a list' : `the ${typeof value} ${JSON.stringify(value)?.slice(0, 40)}`;
    say('', `an API object is a mapping with apiVersion, kind and metadata; this is ${found}`);
    return [];
  }
  // The items of a typed list, as a server prints them, have the kind of the list.
  if (listKind) {
    value['apiVersion'] ??= listKind.apiVersion;
    value['kind'] ??= listKind.kind;
  }
  const { apiVersion, kind } = value;
  for (const field of ['apiVersion', 'kind'] as const) {
    const given = value[field];
    if (given === undefined) say('', `${field} is missing`);
    else if (typeof given !== 'string' || given === '') say(field, `${field} must be a text that is not empty`);
  }
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || !apiVersion || !kind) return [];

  if (kind.endsWith('List') && Array.isArray(value['items'])) {
    const itemKind = kind === 'List' ? undefined : { apiVersion, kind: kind.slice(0, -'List'.length) };
    const { prefix } = document.source;
    return value['items'].flatMap((item: unknown, index: number) => {
      const path = `items[${index}]`;
      const source = { ...document.source, prefix: prefix ? `${prefix}.${path}` : path };
      const start = locate({ ...where, source: document.source }, path);
      return expand({ value: item, file: document.file, start, source }, problems, itemKind);
    });
  }
  if (!isMapping(value['metadata'])) {
    say('metadata', value['metadata'] === undefined ? 'metadata is missing' : 'metadata must be a mapping');
    return [];
  }
  return [{ ...where, object: value as DynamicObject }];
}
