/**
 * Whether a schema may stand in a definition: structural, within the part of OpenAPI v3 that Kubernetes knows, list types in order, defaults
 * that meet it, validation rules that compile. Rules and texts: apiextensions-apiserver `pkg/apis/apiextensions/validation` (v0.33).
 */
import type { FieldError } from '@orbitkit/core';
import { copyJson, sameJson } from '../registry/json-value.js';
import { compileRules } from './cel-rules.js';
import { fillDefaults } from './defaulting.js';
import { forbiddenField, invalidValue, maxFieldErrors, required, unsupported } from './field-errors.js';
import { prune } from './prune.js';
import { RuleCosts } from './rule-costs.js';
import { isObject, type JsonSchema, type Structural, structuralOf } from './structural.js';
import { structuralErrors } from './structural-rules.js';
import { valueRuleOf } from './value-rules.js';

const types = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

/** What may stand at the root beside properties when status is written apart. */
const rootFields = new Set(
  (
    'description type format title maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern maxItems minItems ' +
    'uniqueItems multipleOf required items properties externalDocs example x-kubernetes-preserve-unknown-fields x-kubernetes-validations'
  ).split(' '),
);

export function schemaErrors(schema: JsonSchema, path: string, statusEnabled: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (statusEnabled) {
    const other = Object.entries(schema).find(
      ([name, value]) => value !== undefined && value !== false && !rootFields.has(name),
    );
    if (other) {
      errors.push(
        forbiddenField(
          `${path}.${other[0]}`,
          'is not allowed at the root of the schema if the status subresource is enabled',
        ),
      );
    }
  }
  if (schema.nullable) errors.push(forbiddenField(`${path}.nullable`, 'nullable cannot be true at the root'));
  checkSchema(schema, path, { resource: true, root: true, inMeta: false, noDefault: undefined }, errors);
  if (errors.length > 0) return errors.slice(0, maxFieldErrors);
  const root = structuralOf(schema);
  errors.push(...structuralErrors(root, path));
  if (errors.length === 0) checkDefaults(root, path, errors);
  if (errors.length === 0) errors.push(...compileRules(root, path, new RuleCosts()).errors);
  return errors.slice(0, maxFieldErrors);
}

interface Place {
  /** A resource: the root, or embedded. */
  readonly resource: boolean;
  readonly root: boolean;
  readonly inMeta: boolean;
  /** Why there may be no default. */
  readonly noDefault: string | undefined;
}

const unknownToKubernetes = [
  'id',
  'additionalItems',
  'patternProperties',
  'definitions',
  'dependencies',
  '$ref',
] as const;

function checkSchema(schema: JsonSchema, path: string, place: Place, errors: FieldError[]): void {
  if (errors.length >= maxFieldErrors) return;
  for (const name of unknownToKubernetes) {
    const value = schema[name];
    if (value === undefined || (isObject(value) && Object.keys(value).length === 0)) continue;
    errors.push(forbiddenField(`${path}.${name}`, `${name} is not supported`));
  }
  if (schema.type === 'null')
    errors.push(forbiddenField(`${path}.type`, 'type cannot be set to null, use nullable as an alternative'));
  else if (schema.type && !types.includes(schema.type)) errors.push(unsupported(`${path}.type`, schema.type, types));
  if (schema.default !== undefined && place.noDefault !== undefined)
    errors.push(forbiddenField(`${path}.default`, `must not be set ${place.noDefault}`));
  if (schema.uniqueItems) {
    errors.push(
      forbiddenField(
        `${path}.uniqueItems`,
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
      ),
    );
  }
  if (place.inMeta && schema['x-kubernetes-embedded-resource'])
    errors.push(forbiddenField(`${path}.x-kubernetes-embedded-resource`, 'must not be used inside of resource meta'));
  if (schema['x-kubernetes-preserve-unknown-fields'] === false)
    errors.push(invalidValue(`${path}.x-kubernetes-preserve-unknown-fields`, false, 'must be true or undefined'));
  checkCollectionTypes(schema, path, errors);
  checkRuleTexts(schema, path, errors);
  checkInner(schema, path, place, errors);
}

function checkInner(schema: JsonSchema, path: string, place: Place, errors: FieldError[]): void {
  const inner: Place = { ...place, resource: false, root: false };
  const { additionalProperties, items } = schema as { additionalProperties?: unknown; items?: unknown };
  const properties = Object.entries(schema.properties ?? {});
  if (additionalProperties !== undefined && properties.length > 0 && additionalProperties !== true) {
    errors.push(
      forbiddenField(`${path}.additionalProperties`, 'additionalProperties and properties are mutual exclusive'),
    );
  }
  if (isObject(additionalProperties)) {
    const below = place.inMeta
      ? { ...inner, noDefault: 'inside additionalProperties applying to object metadata' }
      : inner;
    checkSchema(additionalProperties as JsonSchema, `${path}.additionalProperties`, below, errors);
  }
  for (const [name, each] of properties) {
    const meta = place.resource && (name === 'metadata' || name === 'kind' || name === 'apiVersion');
    checkSchema(
      each,
      `${path}.properties[${name}]`,
      {
        resource: each['x-kubernetes-embedded-resource'] === true,
        root: false,
        inMeta: place.inMeta || meta,
        noDefault: meta && place.root ? `in top-level ${name}` : place.noDefault,
      },
      errors,
    );
  }
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const)
    for (const [i, each] of (schema[name] ?? []).entries()) checkSchema(each, `${path}.${name}[${i}]`, inner, errors);
  if (schema.not) checkSchema(schema.not, `${path}.not`, inner, errors);
  if (Array.isArray(items))
    errors.push(forbiddenField(`${path}.items`, 'items must be a schema object and not an array'));
  else if (isObject(items)) {
    const element = items as JsonSchema;
    const resource = element['x-kubernetes-embedded-resource'] === true;
    checkSchema(element, `${path}.items`, { ...inner, resource }, errors);
  }
}

function checkCollectionTypes(schema: JsonSchema, path: string, errors: FieldError[]): void {
  const mapType = schema['x-kubernetes-map-type'];
  const listType = schema['x-kubernetes-list-type'];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const needType = (wanted: string, because: string): void => {
    if (schema.type === wanted) return;
    const text = `must be ${wanted} if ${because} is specified`;
    errors.push(schema.type ? invalidValue(`${path}.type`, schema.type, text) : required(`${path}.type`, text));
  };
  if (mapType !== undefined) {
    needType('object', 'x-kubernetes-map-type');
    if (mapType !== 'atomic' && mapType !== 'granular')
      errors.push(unsupported(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']));
  }
  if (listType !== undefined) {
    needType('array', 'x-kubernetes-list-type');
    if (!['atomic', 'set', 'map'].includes(listType))
      errors.push(unsupported(`${path}.x-kubernetes-list-type`, listType, ['atomic', 'set', 'map']));
  }
  const items = isObject(schema.items) ? (schema.items as JsonSchema) : undefined;
  if (keys.length > 0 && listType !== 'map') {
    const text = 'must be map if x-kubernetes-list-map-keys is non-empty';
    const at = `${path}.x-kubernetes-list-type`;
    errors.push(listType === undefined ? required(at, text) : invalidValue(at, listType, text));
  }
  if ((listType === 'set' || listType === 'map') && items?.nullable)
    errors.push(
      forbiddenField(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`),
    );
  if (listType === 'set' && items) {
    const text = 'must be atomic as item of a list with x-kubernetes-list-type=set';
    const inner = items['x-kubernetes-list-type'];
    if (items.type === 'array' && inner !== undefined && inner !== 'atomic')
      errors.push(invalidValue(`${path}.items.x-kubernetes-list-type`, inner, text));
    if (items.type === 'object' && items['x-kubernetes-map-type'] !== 'atomic')
      errors.push(invalidValue(`${path}.items.x-kubernetes-map-type`, items['x-kubernetes-map-type'] ?? null, text));
  }
  if (listType === 'map') checkMapList(items, keys, path, errors);
}

function checkMapList(
  items: JsonSchema | undefined,
  keys: readonly string[],
  path: string,
  errors: FieldError[],
): void {
  const at = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'));
  if (!items) {
    errors.push(required(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'));
    return;
  }
  if (items.type !== 'object') {
    errors.push(
      invalidValue(
        `${path}.items.type`,
        items.type ?? '',
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    );
    return;
  }
  const seen = new Set<string>();
  for (const key of keys) {
    const property = Object.hasOwn(items.properties ?? {}, key) ? items.properties![key] : undefined;
    const where = `${path}.items.properties[${key}]`;
    if (!property) errors.push(invalidValue(at, keys, 'entries must all be names of item properties'));
    else {
      if (property.type === 'array' || property.type === 'object') {
        errors.push(
          invalidValue(
            `${where}.type`,
            property.type,
            "must be a scalar type if parent array's x-kubernetes-list-type is map",
          ),
        );
      }
      if (!items.required?.includes(key) && property.default === undefined) {
        errors.push(
          required(
            `${where}.default`,
            'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
          ),
        );
      }
      if (property.nullable) {
        errors.push(
          forbiddenField(
            `${where}.nullable`,
            'this property is in x-kubernetes-list-map-keys, so it cannot be nullable',
          ),
        );
      }
    }
    if (seen.has(key)) errors.push(invalidValue(at, keys, 'must not contain duplicate entries'));
    seen.add(key);
  }
}

const reasons = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const broken = /[\n\r]/;

function checkRuleTexts(schema: JsonSchema, path: string, errors: FieldError[]): void {
  for (const [i, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const at = `${path}.x-kubernetes-validations[${i}]`;
    const text = rule.rule?.trim() ?? '';
    const message = rule.message?.trim() ?? '';
    if (text === '') errors.push(required(`${at}.rule`, 'rule is not specified'));
    else if (rule.message && message === '')
      errors.push(invalidValue(`${at}.message`, rule.message, 'message must be non-empty if specified'));
    else if (broken.test(message))
      errors.push(invalidValue(`${at}.message`, rule.message, 'message must not contain line breaks'));
    else if (broken.test(text) && message === '')
      errors.push(required(`${at}.message`, 'message must be specified if rule contains line breaks'));
    if (rule.messageExpression && rule.messageExpression.trim() === '')
      errors.push(required(`${at}.messageExpression`, 'messageExpression must be non-empty if specified'));
    if (rule.reason !== undefined && !reasons.includes(rule.reason))
      errors.push(unsupported(`${at}.reason`, rule.reason, reasons));
    if (rule.fieldPath) {
      if (broken.test(rule.fieldPath))
        errors.push(invalidValue(`${at}.fieldPath`, rule.fieldPath, 'fieldPath must not contain line breaks'));
      else if (!leadsSomewhere(schema, rule.fieldPath))
        errors.push(invalidValue(`${at}.fieldPath`, rule.fieldPath, 'fieldPath must be a valid path'));
    }
  }
}

/** `.spec.x`, `['a.b']`: whether the schema has such a field. */
function leadsSomewhere(schema: JsonSchema, fieldPath: string): boolean {
  let node: JsonSchema | undefined = schema;
  let rest = fieldPath;
  while (rest !== '') {
    const match = /^(?:\.([A-Za-z_][\w-]*)|\['((?:[^'\\]|\\.)+)'\])/.exec(rest);
    if (!match || !node) return false;
    const name = match[1] ?? match[2]!.replace(/\\(.)/g, '$1');
    const { properties, additionalProperties } = node as {
      properties?: Record<string, JsonSchema>;
      additionalProperties?: unknown;
    };
    node =
      properties && Object.hasOwn(properties, name)
        ? properties[name]
        : isObject(additionalProperties)
          ? (additionalProperties as JsonSchema)
          : undefined;
    if (!node) return false;
    rest = rest.slice(match[0].length);
  }
  return true;
}

/** A default is pruned, complete and valid. */
function checkDefaults(node: Structural, path: string, errors: FieldError[]): void {
  if (node.default !== undefined) {
    const unknown: string[] = [];
    const value = copyJson(node.default);
    prune(node, value, unknown, '', node.embedded);
    const at = `${path}.default`;
    if (unknown.length > 0 || !sameJson(value, node.default))
      errors.push(invalidValue(at, node.default, `must not have unknown fields: ${unknown.join(', ')}`));
    else {
      fillDefaults(node, value);
      if (value !== null || !node.nullable) valueRuleOf(node)(value, undefined, at, errors);
    }
  }
  if (node.items) checkDefaults(node.items, `${path}.items`, errors);
  if (typeof node.additional === 'object') checkDefaults(node.additional, `${path}.additionalProperties`, errors);
  for (const [name, each] of node.properties) checkDefaults(each, `${path}.properties[${name}]`, errors);
}
