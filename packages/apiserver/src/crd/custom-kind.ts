/**
 * Makes a definition into kinds, one for each version: decoding with pruning, defaults, validation, columns, scale, selectable fields, and
 * how what is stored in one version is read in another. Everything is read and compiled once, here.
 *
 * A kind never changes; a definition that is written again becomes new kinds.
 */
import {
  type apiextensionsv1,
  apiVersionOf,
  badRequest,
  builtinSchema,
  type Decoded,
  type DynamicObject,
  decodeStruct,
  type FieldError,
  type Kind,
  type KubeObject,
  metadataErrors,
  StatusError,
  type StorageForm,
  type Subresource,
  type Verb,
} from '@orbitkit/core';
import { copyJson, sameJson } from '../registry/json-value.js';
import { compileRules } from './cel-rules.js';
import { columnsOf } from './columns.js';
import { dropNulls, fillDefaults } from './defaulting.js';
import { checkEmbedded, hasEmbedded, settleEmbedded } from './embedded.js';
import { fieldError } from './field-errors.js';
import { formOf, publishedSchema } from './form.js';
import { simplePath, valueAt } from './json-path.js';
import { checkKeyedLists, hasKeyedLists } from './list-rules.js';
import { prune } from './prune.js';
import { isObject, structuralOf } from './structural.js';
import { valueRuleOf } from './value-rules.js';

export type Definition = apiextensionsv1.CustomResourceDefinition;
type Version = apiextensionsv1.CustomResourceDefinitionVersion;
type Names = apiextensionsv1.CustomResourceDefinitionNames;

const allVerbs: readonly Verb[] = ['delete', 'deletecollection', 'get', 'list', 'patch', 'create', 'update', 'watch'];

/** Converts objects between versions of one definition. */
export interface Conversion {
  /** The argument is shared and must not change. @returns a copy in the wanted version. */
  convert(object: Readonly<DynamicObject>, apiVersion: string): DynamicObject;
  /** Awaited before `convert` of these very objects, where conversion takes time. */
  prepare?(objects: readonly Readonly<DynamicObject>[], apiVersion: string): Promise<void>;
}

/** Versions differ in nothing but their name. */
export const noConversion: Conversion = {
  convert: (object, apiVersion) => ({ ...copyJson(object), apiVersion }),
};

/** The kinds of the versions that are served. */
export function customKinds(definition: Definition, conversion: Conversion = noConversion): Kind<any>[] {
  const all = kindsByVersion(definition, conversion);
  return definition.spec.versions.filter(each => each.served).map(each => all.get(each.name)!);
}

/** The kind in whose form objects are stored, served or not; for whoever needs the objects, not their form. */
export function storedKind(definition: Definition): Kind<any> {
  return kindsByVersion(definition, noConversion).get(storageVersion(definition).name)!;
}

const storageVersion = ({ spec }: Definition): Version => spec.versions.find(each => each.storage) ?? spec.versions[0]!;

function kindsByVersion(definition: Definition, conversion: Conversion): Map<string, Kind<any>> {
  const { spec, status, metadata } = definition;
  const names: Names = { ...spec.names, ...status?.acceptedNames };
  const terminating = metadata.deletionTimestamp !== undefined;
  const storage = storageVersion(definition);
  // Everything that is stored went through this very schema: it is right as it is.
  const settled =
    spec.versions.length === 1 && (status?.storedVersions ?? []).length <= 1 && (metadata.generation ?? 1) === 1;
  const byVersion = new Map<string, Kind<any>>();
  const stored = (): Kind<any> => byVersion.get(storage.name)!;
  for (const version of spec.versions) {
    const versions = settled ? undefined : { stored, conversion };
    byVersion.set(version.name, versionKind(definition, names, version, terminating, versions));
  }
  return byVersion;
}

function versionKind(
  { spec }: Definition,
  names: Names,
  version: Version,
  terminating: boolean,
  versions: { stored: () => Kind<any>; conversion: Conversion } | undefined,
): Kind<any> {
  const { group } = spec;
  const gvk = { group, version: version.name, kind: names.kind };
  const apiVersion = apiVersionOf(gvk);
  const namespaced = spec.scope === 'Namespaced';
  const source = version.schema?.openAPIV3Schema;
  const root = structuralOf(
    spec.preserveUnknownFields ? { ...source, 'x-kubernetes-preserve-unknown-fields': true } : source,
  );
  const rule = valueRuleOf(root);
  const keyed = hasKeyedLists(root);
  const embedded = hasEmbedded(root);
  const { rules } = compileRules(root, 'schema');
  const schema = formOf(root, `${group}/${version.name}.${names.kind}`);

  function decode(value: unknown): Decoded<DynamicObject> {
    if (!isObject(value)) throw badRequest(`the object provided is unrecognized (must be of type ${names.kind})`);
    checkAddress(value, gvk, apiVersion);
    const unknownFields: string[] = [];
    const metadata = decodeStruct(metadataOnly, { metadata: value['metadata'] ?? {} }, gvk);
    unknownFields.push(...metadata.unknownFields);
    const { apiVersion: _apiVersion, kind: _kind, metadata: _metadata, ...rest } = value;
    const object = { apiVersion, kind: names.kind, ...metadata.value, ...rest } as unknown as DynamicObject;
    prune(root, object, unknownFields);
    if (embedded) settleEmbedded(root, object, unknownFields);
    dropNulls(root, object);
    return { object, unknownFields };
  }

  function validate(object: DynamicObject, previous?: DynamicObject): FieldError[] {
    const errors: FieldError[] = metadataErrors(object.metadata, { namespaced }, previous?.metadata);
    const before = errors.length;
    rule(object, previous, '', errors);
    if (keyed) checkKeyedLists(root, object, previous, '', errors);
    if (embedded) checkEmbedded(root, object, errors);
    if (rules === undefined) return errors;
    if (errors.length === before) rules.check(object, previous, errors);
    else errors.push(fieldError('', 'FieldValueInvalid', `Invalid value: "null": ${notChecked}`));
    return errors;
  }

  /** An object of any version, as this version has it. The very argument when nothing about it differs. */
  function fromStored(object: Readonly<DynamicObject>): DynamicObject {
    const converted = versions!.conversion.convert(object, apiVersion);
    prune(root, converted, []);
    dropNulls(root, converted);
    fillDefaults(root, converted);
    return sameJson(converted, object) ? object : converted;
  }

  const storage: StorageForm | undefined = versions && {
    get kind() {
      return versions.stored();
    },
    toStorage: object => {
      const to = apiVersionOf(versions.stored());
      return to === apiVersion ? object : versions.conversion.convert(object as DynamicObject, to);
    },
    fromStorage: object => fromStored(object as DynamicObject),
    ...(versions.conversion.prepare ? { prepare } : {}),
  };

  /** What is in this version goes to the store, what is in another comes from there. */
  async function prepare(objects: readonly Readonly<KubeObject>[]): Promise<void> {
    const all = objects as readonly Readonly<DynamicObject>[];
    const to = apiVersionOf(versions!.stored());
    const own = all.filter(each => each.apiVersion === apiVersion);
    if (to !== apiVersion && own.length > 0) await versions!.conversion.prepare!(own, to);
    const others = all.filter(each => each.apiVersion !== apiVersion);
    if (others.length > 0) await versions!.conversion.prepare!(others, apiVersion);
  }

  const { subresources } = version;
  return {
    ...gvk,
    plural: names.plural,
    singular: names.singular || names.kind.toLowerCase(),
    listKind: names.listKind || `${names.kind}List`,
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    namespaced,
    verbs: terminating ? allVerbs.filter(verb => verb !== 'create') : allVerbs,
    subresources: subresourcesOf(gvk, subresources),
    schema,
    columns: columnsOf(version.additionalPrinterColumns),
    custom: {
      published: publishedSchema(source, gvk),
      ...(version.deprecated
        ? { deprecation: version.deprecationWarning || `${apiVersion} ${names.kind} is deprecated` }
        : {}),
    },
    ...(subresources?.scale ? { scale: subresources.scale } : {}),
    ...(version.selectableFields?.length ? { selectableFields: selectableFieldsOf(version) } : {}),
    ...(storage ? { storage } : {}),
    decode,
    applyDefaults: object => fillDefaults(root, object),
    validate,
  } satisfies Kind<any>;
}

const notChecked =
  'some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';

/** Only `metadata` is decoded by this; its paths come out right. */
const metadataOnly = {
  type: 'struct',
  name: 'meta/v1.PartialObjectMetadata',
  get fields() {
    const schema = builtinSchema('meta/v1.ObjectMeta');
    return new Map([['metadata', { name: 'metadata', schema, required: true, pointer: true, omitEmpty: false }]]);
  },
} as const;

function checkAddress(
  value: Record<string, unknown>,
  gvk: { version: string; kind: string },
  apiVersion: string,
): void {
  const { kind, apiVersion: given } = value;
  for (const [name, text] of [
    ['kind', kind],
    ['apiVersion', given],
  ] as const) {
    if (text !== undefined && text !== null && typeof text !== 'string') throw badRequest(`${name} must be a string`);
  }
  if (kind && kind !== gvk.kind) {
    throw new StatusError(
      'BadRequest',
      `${String(kind)} in version "${gvk.version}" cannot be handled as a ${gvk.kind}: the body is of kind ${String(kind)}, expected ${gvk.kind}`,
    );
  }
  if (given && given !== apiVersion) {
    throw new StatusError(
      'BadRequest',
      `the API version in the data (${String(given)}) does not match the expected API version (${apiVersion})`,
    );
  }
}

function subresourcesOf(
  gvk: { group: string; version: string; kind: string },
  subresources: Version['subresources'],
): Subresource[] {
  const readAndWrite = ['get', 'patch', 'update'];
  return [
    ...(subresources?.status ? [{ name: 'status', ...gvk, verbs: readAndWrite }] : []),
    ...(subresources?.scale
      ? [{ name: 'scale', group: 'autoscaling', version: 'v1', kind: 'Scale', verbs: readAndWrite }]
      : []),
  ];
}

function selectableFieldsOf(version: Version): Record<string, (object: unknown) => unknown> {
  const fields: Record<string, (object: unknown) => unknown> = {};
  for (const { jsonPath } of version.selectableFields ?? []) {
    const path = simplePath(jsonPath);
    if (path) fields[jsonPath.slice(1)] = object => valueAt(object, path);
  }
  return fields;
}
