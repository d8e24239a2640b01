/**
 * What makes a schema structural: every field and element has a type outside of anyOf and its like, which only constrain values; metadata
 * is left alone but for names; int-or-string, embedded resources and open objects follow their forms.
 * Rules and texts: apiextensions-apiserver `schema/validation.go` (v0.33).
 */
import type { FieldError } from '@orbitkit/core';
import { RE2JS } from 're2js';
import { forbiddenField, invalidValue, required } from './field-errors.js';
import { isObject, type JsonSchema, type Structural } from './structural.js';

type Level = 'root' | 'items' | 'field';

export function structuralErrors(root: Structural, path: string): FieldError[] {
  const errors: FieldError[] = [];
  checkNode(root, 'root', path, errors);
  return errors;
}

const typeTexts: Readonly<Record<Level, string>> = {
  root: 'must not be empty at the root',
  items: 'must not be empty for specified array items',
  field: 'must not be empty for specified object fields',
};

function checkNode(node: Structural, level: Level, path: string, errors: FieldError[]): void {
  const { type, source } = node;
  if (type === 'array' && !node.items) errors.push(required(`${path}.items`, 'must be specified'));
  if (node.items) checkNode(node.items, 'items', `${path}.items`, errors);
  for (const [name, each] of node.properties) checkNode(each, 'field', `${path}.properties[${name}]`, errors);
  if (source.additionalProperties !== undefined) {
    if (level === 'root') errors.push(forbiddenField(`${path}.additionalProperties`, 'must not be used at the root'));
    if (typeof node.additional === 'object')
      checkNode(node.additional, 'field', `${path}.additionalProperties`, errors);
  }
  if (node.intOrString && node.preserve)
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, true, mustBeFalse));
  if (node.intOrString && node.embedded)
    errors.push(invalidValue(`${path}.x-kubernetes-embedded-resource`, true, mustBeFalse));

  checkConstraints(node, source, path, errors);

  if (node.embedded && type !== 'object') {
    const text = 'must be object if x-kubernetes-embedded-resource is true';
    errors.push(type === '' ? required(`${path}.type`, text) : invalidValue(`${path}.type`, type, text));
  } else if (type === '' && !node.intOrString && !node.preserve)
    errors.push(required(`${path}.type`, typeTexts[level]));
  if (node.embedded && source.additionalProperties !== undefined) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'must not be used if x-kubernetes-embedded-resource is set'),
    );
  }
  if (level === 'root' && type !== '' && type !== 'object')
    errors.push(invalidValue(`${path}.type`, type, 'must be object at the root'));
  checkResourceMembers(node, level, path, errors);
}

const mustBeFalse = 'must be false if x-kubernetes-int-or-string is true';

function checkResourceMembers(node: Structural, level: Level, path: string, errors: FieldError[]): void {
  if (level !== 'root' && !node.embedded) return;
  for (const name of ['kind', 'apiVersion']) {
    const each = node.properties.get(name);
    if (each && each.type !== 'string')
      errors.push(invalidValue(`${path}.properties[${name}].type`, each.type, 'must be string'));
  }
  const metadata = node.properties.get('metadata');
  if (metadata && metadata.type !== 'object')
    errors.push(invalidValue(`${path}.properties[metadata].type`, metadata.type, 'must be object'));
  if (metadata && level === 'root' && !restrictsNamesOnly(metadata.source)) {
    errors.push(
      forbiddenField(
        `${path}.properties[metadata]`,
        'must not specify anything other than name and generateName, but metadata is implicitly specified',
      ),
    );
  }
  if (node.embedded && !node.preserve && node.properties.size === 0) {
    errors.push(
      required(
        `${path}.properties`,
        'must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields',
      ),
    );
  }
}

function restrictsNamesOnly({ type: _type, description: _description, properties, ...rest }: JsonSchema): boolean {
  if (Object.values(rest).some(value => value !== undefined)) return false;
  return Object.keys(properties ?? {}).every(name => name === 'name' || name === 'generateName');
}

/** The two ways to write int-or-string with alternatives, in which types are allowed. */
const isIntOrString = (alternatives: readonly JsonSchema[] | undefined): boolean =>
  alternatives?.length === 2 &&
  JSON.stringify(alternatives[0]) === '{"type":"integer"}' &&
  JSON.stringify(alternatives[1]) === '{"type":"string"}';

/** @param node What the constraints speak of, when that is known outside of them. */
function checkConstraints(
  node: Structural | undefined,
  source: JsonSchema,
  path: string,
  errors: FieldError[],
  skipAnyOf = node !== undefined && isIntOrString(source.anyOf),
): void {
  if (!skipAnyOf)
    for (const [i, each] of (source.anyOf ?? []).entries()) checkNested(node, each, `${path}.anyOf[${i}]`, errors);
  for (const [i, each] of (source.allOf ?? []).entries()) {
    checkNested(node, each, `${path}.allOf[${i}]`, errors, i === 0 && isIntOrString(each.anyOf));
  }
  for (const [i, each] of (source.oneOf ?? []).entries()) checkNested(node, each, `${path}.oneOf[${i}]`, errors);
  if (source.not) checkNested(node, source.not, `${path}.not`, errors);
  if (source.pattern) {
    try {
      RE2JS.compile(source.pattern);
    } catch (error) {
      errors.push(
        invalidValue(
          `${path}.pattern`,
          source.pattern,
          `must be a valid regular expression, but isn't: ${(error as Error).message}`,
        ),
      );
    }
  }
}

const forbiddenInside: readonly [name: keyof JsonSchema, text: string][] = [
  ['type', 'must be empty to be structural'],
  ['additionalProperties', 'must be undefined to be structural'],
  ['default', 'must be undefined to be structural'],
  ['title', 'must be empty to be structural'],
  ['description', 'must be empty to be structural'],
  ['nullable', 'must be false to be structural'],
  ['externalDocs', 'must be undefined to be structural'],
  ['x-kubernetes-preserve-unknown-fields', 'must be false to be structural'],
  ['x-kubernetes-embedded-resource', 'must be false to be structural'],
  ['x-kubernetes-int-or-string', 'must be false to be structural'],
  ['x-kubernetes-list-map-keys', 'must be empty to be structural'],
  ['x-kubernetes-list-type', 'must be undefined to be structural'],
  ['x-kubernetes-map-type', 'must be undefined to be structural'],
  ['x-kubernetes-validations', 'must be empty to be structural'],
];

function checkNested(
  node: Structural | undefined,
  nested: JsonSchema,
  path: string,
  errors: FieldError[],
  skipAnyOf = false,
): void {
  checkConstraints(node, nested, path, errors, skipAnyOf);
  for (const [name, text] of forbiddenInside) {
    const value = nested[name];
    if (value === undefined || value === false || value === '' || (Array.isArray(value) && value.length === 0))
      continue;
    errors.push(forbiddenField(`${path}.${name}`, text));
  }
  if (isObject(nested.items)) {
    const at = `${path}.items`;
    if (node && !node.items && !node.preserve)
      errors.push(required(`${skeleton(path)}.items`, `because it is defined in ${at}`));
    checkNested(node?.items, nested.items as JsonSchema, at, errors);
  }
  for (const [name, each] of Object.entries(nested.properties ?? {})) {
    const at = `${path}.properties[${name}]`;
    if (name === 'metadata') errors.push(forbiddenField(at, 'must not be specified in a nested context'));
    const known = node?.properties.get(name);
    if (node && !known)
      errors.push(required(`${skeleton(path)}.properties[${name}]`, `because it is defined in ${at}`));
    checkNested(known, each, at, errors);
  }
}

/** The path without the parts that only constrain: where the field would have to stand. */
const skeleton = (path: string): string => path.replace(/\.(?:anyOf|allOf|oneOf)\[\d+\]|\.not(?=\.|$)/g, '');
