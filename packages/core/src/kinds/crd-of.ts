/**
 * `crdOf`: the CustomResourceDefinition of kinds that were made with `defineKind`, to be applied to any cluster: schema, names, columns, status and
 * scale. What the definition cannot say is an error that names the field; see structural-schema.ts.
 *
 * `defaults` and `validate` of a definition are code: they work where the kind itself is served, not behind a CustomResourceDefinition.
 */
import type { Draft } from '../meta/object.js';
import { type ColumnDefinition, definitionOf } from './define-kind.js';
import type { CustomResourceDefinition } from './generated/kinds.js';
import type { apiextensionsv1 } from './generated/types/index.js';
import type { Kind } from './kind.js';
import { type StructuralOptions, structuralSchema } from './structural-schema.js';

/** What the definition says beside what its kinds do. */
export interface CrdOptions extends StructuralOptions {
  /** The version that is stored. Default: the last of several kinds. */
  storage?: string;
  /** Of several versions that differ: who converts. Default: they differ in nothing but their name. */
  conversion?: apiextensionsv1.CustomResourceConversion;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  /** Rules for the whole object in CEL, e.g. `self.metadata.name.size() < 20`. */
  rules?: readonly { rule: string; message?: string }[];
}

/** @param kinds One, or the versions of one, oldest first. @throws Error when a kind was not made with `defineKind`, or says what a definition cannot. */
export function crdOf(
  kinds: Kind<any> | readonly Kind<any>[],
  options: CrdOptions = {},
): Draft<CustomResourceDefinition> {
  const versions: readonly Kind<any>[] = Array.isArray(kinds) ? kinds : [kinds as Kind<any>];
  const newest = versions.at(-1);
  if (!newest) throw new Error('crdOf: at least one kind is required');
  const { group, plural, singular, kind, listKind, shortNames, categories, namespaced } = newest;
  for (const each of versions) {
    if (each.group !== group || each.kind !== kind || each.namespaced !== namespaced)
      throw new Error(`crdOf: ${each.kind} of ${each.group} and ${kind} of ${group} are not versions of one kind`);
  }
  const storage = options.storage ?? newest.version;
  if (!versions.some(({ version }) => version === storage))
    throw new Error(`crdOf ${kind}: there is no version "${storage}" to store`);
  const { labels, annotations, conversion } = options;
  return {
    metadata: { name: `${plural}.${group}`, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: {
        ...{ kind, listKind, plural, singular },
        ...(shortNames.length > 0 ? { shortNames: [...shortNames] } : {}),
        ...(categories.length > 0 ? { categories: [...categories] } : {}),
      },
      versions: versions.map(each => versionOf(each, each.version === storage, options)),
      ...(conversion ? { conversion } : {}),
    },
  } as Draft<CustomResourceDefinition>;
}

function versionOf(
  kind: Kind<any>,
  storage: boolean,
  options: CrdOptions,
): apiextensionsv1.CustomResourceDefinitionVersion {
  const definition = definitionOf(kind);
  if (!definition) throw new Error(`crdOf ${kind.kind}: only a kind made with defineKind knows its zod schema`);
  const { spec, status, subresources, columns } = definition;
  const required = spec.safeParse(undefined).success ? [] : ['spec'];
  return {
    name: kind.version,
    served: true,
    storage,
    schema: {
      openAPIV3Schema: {
        type: 'object',
        ...(required.length > 0 ? { required } : {}),
        properties: {
          apiVersion: { type: 'string' },
          kind: { type: 'string' },
          metadata: { type: 'object' },
          spec: structuralSchema(spec, 'spec', options),
          ...(status ? { status: structuralSchema(status, 'status', options) } : {}),
        },
        ...(options.rules ? { 'x-kubernetes-validations': options.rules.map(rule => ({ ...rule })) } : {}),
      },
    },
    ...(subresources?.status || subresources?.scale
      ? {
          subresources: {
            ...(subresources.status ? { status: {} } : {}),
            ...(subresources.scale ? { scale: { ...subresources.scale } } : {}),
          },
        }
      : {}),
    ...(columns ? { additionalPrinterColumns: columns.map(column => columnOf(kind, column)) } : {}),
  };
}

function columnOf(kind: Kind<any>, { name, value, type = 'string', description, wide }: ColumnDefinition<any>) {
  if (typeof value !== 'string')
    throw new Error(
      `crdOf ${kind.kind}: column "${name}" is a function: a definition needs a path, such as .spec.size`,
    );
  return {
    ...{ name, type, jsonPath: value.startsWith('.') ? value : `.${value}` },
    ...(description ? { description } : {}),
    ...(wide ? { priority: 1 } : {}),
  };
}
