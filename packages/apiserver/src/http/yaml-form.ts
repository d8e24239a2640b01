/** YAML bodies and answers. The JSON form stays the truth: answers are made from it, bodies become the values that JSON would give. */
import { badRequest } from '@orbitkit/core';
import { isCollection, isMap, isScalar, isSeq, parseAllDocuments, stringify, visit } from 'yaml';
import type { Body } from '../registry/contract.js';
import { requireModestYaml } from './request-limits.js';

/** Aliases that a document may use; more is an attempt to blow it up. */
const maxAliases = 100;

/** @throws StatusError BadRequest with the line of what is wrong. */
export function yamlBody(bytes: Buffer): Body {
  requireModestYaml(bytes);
  try {
    return readYaml(bytes);
  } catch (error) {
    // The parser calls itself for each level.
    if (error instanceof RangeError) throw badRequest('the YAML body is nested too deeply');
    throw error;
  }
}

function readYaml(bytes: Buffer): Body {
  const documents = parseAllDocuments(bytes.toString(), {
    uniqueKeys: false,
    version: '1.1',
    // As Kubernetes' parser: dates and `1:30` stay texts.
    customTags: tags =>
      tags.filter(tag => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp'))),
  });
  if (!Array.isArray(documents) || documents.length === 0) throw badRequest('the YAML body is empty');
  const filled = documents.filter(document => document.contents !== null);
  if (filled.length !== 1) throw badRequest(`a YAML body must hold exactly one document, it holds ${filled.length}`);
  const document = filled[0]!;
  const error = document.errors[0];
  if (error) throw badRequest(`the YAML body cannot be read: ${error.message}`);

  const duplicateFields: string[] = [];
  visit(document, {
    Map(_key, map, path) {
      const seen = new Set<string>();
      for (const pair of map.items) {
        // Nor could JSON say it; and the parser makes the text of a key of keys of keys in exponential time.
        if (isCollection(pair.key))
          throw badRequest('a YAML body has a key that is a list or a mapping: keys are texts');
        const name = String(isScalar(pair.key) ? pair.key.value : pair.key);
        if (seen.has(name)) duplicateFields.push([...pathOf([...path, map]), name].join('.').replaceAll('.[', '['));
        seen.add(name);
      }
    },
  });
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: maxAliases });
  } catch (failure) {
    throw badRequest(`the YAML body cannot be read: ${(failure as Error).message}`);
  }
  return { value, duplicateFields };
}

/** The path of a node from its ancestors: `spec.containers[0]` in parts. */
function pathOf(ancestors: readonly unknown[]): string[] {
  const parts: string[] = [];
  for (const [index, ancestor] of ancestors.entries()) {
    if (isMap(ancestor)) {
      const pair = ancestors[index + 1] as { key?: unknown } | undefined;
      if (pair !== undefined) parts.push(String(isScalar(pair.key) ? pair.key.value : pair.key));
    } else if (isSeq(ancestor)) {
      const next = ancestors[index + 1];
      const at = ancestor.items.indexOf(next as never);
      if (at >= 0) parts.push(`[${at}]`);
    }
  }
  return parts;
}

export function yamlOf(json: Buffer): Buffer {
  return Buffer.from(stringify(JSON.parse(json.toString()), { lineWidth: 0, aliasDuplicateObjects: false }));
}
