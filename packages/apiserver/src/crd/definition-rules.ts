/**
 * Rules of a CustomResourceDefinition beside its schemas: names, versions, subresources, columns, selectable fields, conversion, and what may
 * not change. Rules and texts: apiextensions-apiserver `pkg/apis/apiextensions/validation` (v0.33).
 */
import { dns1035LabelProblem, dnsSubdomainProblem, type FieldError } from '@orbitkit/core';
import { clientConfigErrors } from '../webhook/client-config-rules.js';
import { approvalAnnotation, approvalOf } from './approval.js';
import type { Definition } from './custom-kind.js';
import { duplicate, forbiddenField, invalidValue, required, tooMany, unsupported } from './field-errors.js';
import { simplePath } from './json-path.js';
import { schemaErrors } from './schema-rules.js';
import { isObject, type JsonSchema } from './structural.js';

type Spec = Definition['spec'];
type Version = Spec['versions'][number];

export const isTrue = ({ status }: Definition, type: string): boolean =>
  status?.conditions?.some(each => each.type === type && each.status === 'True') ?? false;

export function definitionErrors(definition: Definition, previous?: Definition): FieldError[] {
  const { spec, metadata } = definition;
  const errors: FieldError[] = [];
  const wanted = `${spec.names?.plural ?? ''}.${spec.group}`;
  if (metadata.name !== wanted)
    errors.push(invalidValue('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'));
  checkApproval(definition, previous, errors);
  checkSpec(spec, previous, errors);
  if (previous) {
    checkImmutable(definition, previous, errors);
    checkStoredVersions(definition, errors);
  }
  return errors;
}

function checkSpec(spec: Spec, previous: Definition | undefined, errors: FieldError[]): void {
  const { group, scope, names, versions = [] } = spec;
  if (!group) errors.push(required('spec.group'));
  else {
    const problem = dnsSubdomainProblem(group);
    if (problem) errors.push(invalidValue('spec.group', group, problem));
    else if (!group.includes('.'))
      errors.push(invalidValue('spec.group', group, 'should be a domain with at least one dot'));
  }
  if (!scope) errors.push(required('spec.scope'));
  else if (scope !== 'Cluster' && scope !== 'Namespaced')
    errors.push(unsupported('spec.scope', scope, ['Cluster', 'Namespaced']));
  if (spec.preserveUnknownFields === true && previous?.spec.preserveUnknownFields !== true) {
    errors.push(
      invalidValue(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    );
  }
  const seen = new Set<string>();
  for (const [i, version] of versions.entries()) {
    const at = `spec.versions[${i}]`;
    const problem = dns1035LabelProblem(version.name ?? '');
    if (problem) errors.push(invalidValue(`${at}.name`, version.name ?? '', problem));
    seen.add(version.name);
    const before = previous?.spec.versions.find(each => each.name === version.name);
    checkVersion(version, at, before, errors);
  }
  if (seen.size < versions.length)
    errors.push(
      invalidValue(
        'spec.versions',
        versions.map(each => each.name),
        'must contain unique version names',
      ),
    );
  if (versions.filter(each => each.storage).length !== 1) {
    errors.push(
      invalidValue(
        'spec.versions',
        versions.map(each => each.name),
        'must have exactly one version marked as storage version',
      ),
    );
  }
  for (const name of ['plural', 'singular', 'kind', 'listKind'] as const)
    if (!names?.[name]) errors.push(required(`spec.names.${name}`));
  checkNames(names ?? ({} as Spec['names']), 'spec.names', errors);
  checkConversion(spec, errors);
}

export function checkNames(names: Spec['names'], path: string, errors: FieldError[]): void {
  const check = (name: string, value: string | undefined, lower = false): void => {
    if (!value) return;
    const problem = dns1035LabelProblem(lower ? value.toLowerCase() : value);
    if (!problem) return;
    const text = lower ? `may have mixed case, but should otherwise match: ${problem}` : problem;
    errors.push(invalidValue(`${path}.${name}`, value, text));
  };
  check('plural', names.plural);
  check('singular', names.singular);
  check('kind', names.kind, true);
  check('listKind', names.listKind, true);
  for (const [i, each] of (names.shortNames ?? []).entries()) check(`shortNames[${i}]`, each);
  for (const [i, each] of (names.categories ?? []).entries()) check(`categories[${i}]`, each);
  if (names.kind && names.kind === names.listKind)
    errors.push(invalidValue(`${path}.listKind`, names.listKind, 'kind and listKind may not be the same'));
}

function checkVersion(version: Version, at: string, before: Version | undefined, errors: FieldError[]): void {
  const { schema, subresources, deprecated, deprecationWarning } = version;
  if (deprecationWarning !== undefined) {
    const say = (text: string) => errors.push(invalidValue(`${at}.deprecationWarning`, deprecationWarning, text));
    if (!deprecated) say('can only be set for deprecated versions');
    if (deprecationWarning.length > 256) say('must be <= 256 characters long');
    if (deprecationWarning === '') say('must not be an empty string');
    if (/\p{C}/u.test(deprecationWarning)) say('must only contain printable UTF-8 characters');
  }
  const openApi = schema?.openAPIV3Schema;
  if (!openApi) errors.push(required(`${at}.schema.openAPIV3Schema`, 'schemas are required'));
  // What was accepted is accepted still, even if a later version of this server knows better.
  else if (JSON.stringify(openApi) !== JSON.stringify(before?.schema?.openAPIV3Schema))
    errors.push(...schemaErrors(openApi, `${at}.schema.openAPIV3Schema`, subresources?.status !== undefined));
  checkScale(subresources?.scale, `${at}.subresources.scale`, errors);
  for (const [i, each] of (version.additionalPrinterColumns ?? []).entries())
    checkColumn(each, `${at}.additionalPrinterColumns[${i}]`, errors);
  checkSelectableFields(version, `${at}.selectableFields`, errors);
}

function checkScale(
  scale: { specReplicasPath?: string; statusReplicasPath?: string; labelSelectorPath?: string } | undefined,
  at: string,
  errors: FieldError[],
): void {
  if (!scale) return;
  const check = (name: keyof typeof scale, root: string, needed: boolean): void => {
    const path = scale[name];
    if (!path) {
      if (needed) errors.push(required(`${at}.${name}`));
    } else if (!path.startsWith('.'))
      errors.push(invalidValue(`${at}.${name}`, path, 'must be a simple json path starting with .'));
    else if (!path.startsWith(`${root}.`) || !simplePath(path))
      errors.push(invalidValue(`${at}.${name}`, path, `should be a json path under ${root}`));
  };
  check('specReplicasPath', '.spec', true);
  check('statusReplicasPath', '.status', true);
  check('labelSelectorPath', '.status', false);
}

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];

function checkColumn(
  column: NonNullable<Version['additionalPrinterColumns']>[number],
  at: string,
  errors: FieldError[],
): void {
  const { name, type, format, jsonPath } = column;
  if (!name) errors.push(required(`${at}.name`));
  const typeText = `must be one of ${columnTypes.join(',')}`;
  if (!type) errors.push(required(`${at}.type`, typeText));
  else if (!columnTypes.includes(type)) errors.push(invalidValue(`${at}.type`, type, typeText));
  if (format && !columnFormats.includes(format))
    errors.push(invalidValue(`${at}.format`, format, `must be one of ${columnFormats.join(',')}`));
  if (!jsonPath) errors.push(required(`${at}.jsonPath`));
  else if (!jsonPath.startsWith('.'))
    errors.push(invalidValue(`${at}.jsonPath`, jsonPath, 'must be a simple json path starting with .'));
}

const maxSelectableFields = 8;

function checkSelectableFields(version: Version, at: string, errors: FieldError[]): void {
  const fields = version.selectableFields ?? [];
  const seen = new Set<string>();
  for (const [i, { jsonPath }] of fields.entries()) {
    const where = `${at}[${i}].jsonPath`;
    if (!jsonPath) {
      errors.push(required(where));
      continue;
    }
    const path = simplePath(jsonPath);
    const schema = path && schemaAt(version.schema?.openAPIV3Schema, path);
    if (!path || !schema) {
      errors.push(invalidValue(where, jsonPath, 'is an invalid path: does not refer to a valid field'));
      continue;
    }
    if (path[0] === 'metadata') errors.push(invalidValue(where, jsonPath, 'must not point to fields in metadata'));
    if (!['string', 'boolean', 'integer'].includes(schema.type ?? '')) {
      errors.push(
        invalidValue(
          where,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      );
    }
    if (seen.has(jsonPath)) errors.push(duplicate(where, jsonPath));
    seen.add(jsonPath);
  }
  if (seen.size > maxSelectableFields) errors.push(tooMany(at, seen.size, maxSelectableFields));
}

function schemaAt(schema: JsonSchema | undefined, path: readonly string[]): JsonSchema | undefined {
  let node = schema;
  for (const name of path)
    node = isObject(node?.properties) && Object.hasOwn(node.properties, name) ? node.properties[name] : undefined;
  return node;
}

function checkConversion({ conversion }: Spec, errors: FieldError[]): void {
  if (!conversion) return;
  const at = 'spec.conversion';
  const { strategy, webhook } = conversion;
  if (!strategy) errors.push(required(`${at}.strategy`));
  else if (strategy !== 'None' && strategy !== 'Webhook')
    errors.push(unsupported(`${at}.strategy`, strategy, ['None', 'Webhook']));
  if (strategy !== 'Webhook') {
    if (webhook) errors.push(forbiddenField(`${at}.webhook`, 'should not be set when strategy is not set to Webhook'));
    return;
  }
  if (!webhook?.clientConfig)
    errors.push(required(`${at}.webhookClientConfig`, 'required when strategy is set to Webhook'));
  else errors.push(...clientConfigErrors(webhook.clientConfig, `${at}.webhookClientConfig`));
  const reviews = webhook?.conversionReviewVersions ?? [];
  if (reviews.length === 0) errors.push(required(`${at}.conversionReviewVersions`));
  else if (!reviews.includes('v1'))
    errors.push(invalidValue(`${at}.conversionReviewVersions`, reviews, 'must include at least one of v1'));
}

function checkImmutable({ spec }: Definition, previous: Definition, errors: FieldError[]): void {
  const same = (field: string, value: unknown, before: unknown): void => {
    if (value !== before) errors.push(invalidValue(field, value, 'field is immutable'));
  };
  if (isTrue(previous, 'Established')) {
    same('spec.scope', spec.scope, previous.spec.scope);
    same('spec.names.kind', spec.names.kind, previous.spec.names.kind);
  }
  same('spec.group', spec.group, previous.spec.group);
  same('spec.names.plural', spec.names.plural, previous.spec.names.plural);
}

function checkStoredVersions({ spec, status }: Definition, errors: FieldError[]): void {
  const stored = status?.storedVersions ?? [];
  const at = 'status.storedVersions';
  if (stored.length === 0) {
    errors.push(invalidValue(at, stored, 'must have at least one stored version'));
    return;
  }
  const storage = spec.versions.find(each => each.storage)?.name;
  if (storage !== undefined && !stored.includes(storage))
    errors.push(invalidValue(at, stored, `must have the storage version ${storage}`));
  for (const [i, name] of stored.entries()) {
    if (spec.versions.some(each => each.name === name)) continue;
    errors.push(
      invalidValue(
        `${at}[${i}]`,
        name,
        `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
      ),
    );
  }
}

/** Groups of the Kubernetes project are not everyone's to define. */
function checkApproval(definition: Definition, previous: Definition | undefined, errors: FieldError[]): void {
  const state = approvalOf(definition);
  const at = `metadata.annotations[${approvalAnnotation}]`;
  const text = definition.metadata.annotations?.[approvalAnnotation];
  if (previous && previous.metadata.annotations?.[approvalAnnotation] === text) return;
  if (state?.reason === 'MissingAnnotation') errors.push(required(at, state.message));
  else if (state?.reason === 'InvalidAnnotation') errors.push(invalidValue(at, text, state.message));
}
