/** What types are generated from: kinds with their schemas, of definitions or of OpenAPI v3 documents, from files or from a cluster. */
import { CommandError } from '../../terminal.js';

export interface JsonSchema {
  type?: string;
  format?: string;
  description?: string;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  enum?: unknown[];
  nullable?: boolean;
  $ref?: string;
  allOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  'x-kubernetes-int-or-string'?: boolean;
  'x-kubernetes-preserve-unknown-fields'?: boolean;
  'x-kubernetes-embedded-resource'?: boolean;
  'x-kubernetes-group-version-kind'?: GroupVersionKind[];
}

interface GroupVersionKind {
  group: string;
  version: string;
  kind: string;
}

export interface KindSource extends GroupVersionKind {
  plural: string;
  namespaced: boolean;
  schema: JsonSchema;
  /** Whose name carries no version where a group has several. */
  preferred: boolean;
  /** What its schema refers to, by the name behind `#/components/schemas/`. */
  schemas: Readonly<Record<string, JsonSchema>>;
}

/** The served versions of a CustomResourceDefinition. @param where Named in errors. */
export function kindsOfDefinition(definition: any, where: string): KindSource[] {
  if (definition?.kind !== 'CustomResourceDefinition' || definition.apiVersion !== 'apiextensions.k8s.io/v1')
    throw new CommandError(`${where}: a CustomResourceDefinition of apiextensions.k8s.io/v1 is expected`);
  const { group, names, scope, versions } = definition.spec ?? {};
  if (!group || !names?.kind || !names.plural || !Array.isArray(versions))
    throw new CommandError(`${where}: spec.group, spec.names and spec.versions are required`);
  return versions
    .filter(({ served }: any) => served)
    .map((version: any) => ({
      ...{ group, version: version.name, kind: names.kind, plural: names.plural },
      namespaced: scope === 'Namespaced',
      schema: version.schema?.openAPIV3Schema ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      preferred: version.storage === true,
      schemas: {},
    }));
}

/** The kinds of an OpenAPI v3 document that can be listed: their address is in its paths, their form in its components. */
export function kindsOfOpenApi(document: any, where: string): KindSource[] {
  const schemas: Record<string, JsonSchema> | undefined = document?.components?.schemas;
  if (!String(document?.openapi ?? '').startsWith('3.') || !schemas)
    throw new CommandError(`${where}: an OpenAPI v3 document with components.schemas is expected`);
  const byKind = new Map<string, JsonSchema>();
  for (const schema of Object.values(schemas)) {
    for (const gvk of schema['x-kubernetes-group-version-kind'] ?? []) byKind.set(identityOf(gvk), schema);
  }
  const found = new Map<string, KindSource>();
  for (const [path, item] of Object.entries<any>(document.paths ?? {})) {
    const match = /^\/apis?\/(?:[^/]+\/)?[^/]+\/(namespaces\/\{namespace\}\/)?([^/{}]+)$/.exec(path);
    const gvk: GroupVersionKind | undefined = item?.post?.['x-kubernetes-group-version-kind'];
    if (!match || !gvk || !item.get) continue;
    const schema = byKind.get(identityOf(gvk));
    if (!schema) continue;
    const { group, version, kind } = gvk;
    const namespaced = match[1] !== undefined;
    found.set(identityOf(gvk), {
      group,
      version,
      kind,
      plural: match[2]!,
      namespaced,
      schema,
      preferred: false,
      schemas,
    });
  }
  return [...found.values()];
}

const identityOf = ({ group, version, kind }: GroupVersionKind): string => `${group}/${version}/${kind}`;
