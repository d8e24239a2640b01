// Writes the TypeScript interfaces of the built-in types from the table of facts, one file a group version.
// Input: packages/core/data/kubernetes-types.json (see packages/core/data/NOTICE). Output: packages/core/src/kinds/generated/types/.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';

const primitives = {
  string: 'string',
  bool: 'boolean',
  int32: 'number',
  int64: 'number',
  float64: 'number',
  any: 'unknown',
  bytes: 'string',
  Time: 'string',
  MicroTime: 'string',
  Duration: 'string',
  Quantity: 'string | number',
  IntOrString: 'number | string',
  RawExtension: 'Record<string, unknown>',
};
const jsonForms = {
  any: 'unknown',
  'Schema|[Schema]': 'unknown',
  'Schema|bool': 'unknown',
  'Schema|[string]': 'unknown',
  list: 'string[]',
  'int|string': 'number | string',
  duration: 'string',
  microtime: 'string',
  time: 'string',
  quantity: 'string | number',
  envelope: 'unknown',
};
/** `core/v1.Pod` -> ['core-v1', 'Pod'] */
const split = key => {
  const dot = key.lastIndexOf('.');
  const slash = key.indexOf('/');
  if (slash < 0) return ['meta-v1', key.slice(dot + 1)];
  const group = key.slice(0, slash);
  const rest = key.slice(slash + 1);
  return [`${group.split('.')[0]}-${rest.slice(0, rest.indexOf('.'))}`, rest.slice(rest.indexOf('.') + 1)];
};
const alias = file => file.replace('-', '');

export function writeTypes(facts, out) {
  const kindByType = new Map(facts.kinds.map(kind => [kind.type, kind]));
  const files = new Map();
  const imports = new Map();

  function reference(type, from) {
    if (primitives[type]) return primitives[type];
    const [file, name] = split(type);
    if (!facts.types[type]) throw new Error(`unknown type ${type}`);
    if (file === from) return name;
    imports.get(from).add(file);
    return `${alias(file)}.${name}`;
  }

  function fieldType(field, from) {
    let type = reference(field.type, from);
    if (field.enumClosed) type = field.enum.map(value => `'${value}'`).join(' | ');
    else if (field.enum && type === 'string')
      type = `${field.enum.map(value => `'${value}'`).join(' | ')} | (string & {})`;
    if (field.list) return type.includes('|') ? `(${type})[]` : `${type}[]`;
    if (field.map) return `Record<string, ${type}>`;
    return type;
  }

  /** The fields of a type with the inlined ones put in their place, as they stand in JSON. */
  function flatten(type) {
    return type.fields.flatMap(field => (field.inline ? flatten(facts.types[field.type]) : [field]));
  }

  // Every object that is read from a server carries these; a draft need not (see meta/object.ts).
  const alwaysInMeta = new Set(['name', 'uid', 'resourceVersion', 'creationTimestamp']);

  for (const key of Object.keys(facts.types).sort()) {
    const type = facts.types[key];
    const [file, name] = split(key);
    if (!files.has(file)) {
      files.set(file, []);
      imports.set(file, new Set());
    }
    const lines = files.get(file);
    if (type.jsonForm) {
      lines.push(`export type ${name} = ${jsonForms[type.jsonForm] ?? 'unknown'};\n`);
      continue;
    }
    const kind = kindByType.get(key);
    lines.push(`export interface ${name} {`);
    const fields = flatten(type);
    const isObject =
      fields.some(field => field.json === 'metadata' && field.type === 'meta/v1.ObjectMeta') &&
      fields.some(field => field.json === 'kind');
    for (const field of fields) {
      if (!field.json || field.json === '-') continue;
      let written = fieldType(field, file);
      let required = field.required || (!field.optional && !field.omitempty);
      if (isObject && field.json === 'apiVersion' && kind) {
        required = true;
        written = `'${kind.group ? `${kind.group}/` : ''}${kind.version}'`;
      }
      if (isObject && field.json === 'kind' && kind) {
        required = true;
        written = `'${kind.kind}'`;
      }
      if (field.type === 'meta/v1.ObjectMeta' && isObject) {
        required = true;
        if (file !== 'meta-v1') imports.get(file).add('meta-v1');
        written = `${file === 'meta-v1' ? '' : 'metav1.'}${kind?.namespaced ? 'NamespacedMeta' : 'ObjectMeta'}`;
      } else if (field.type === 'meta/v1.ObjectMeta') {
        written = `Partial<${written}>`;
      }
      if (isObject && kind && (field.json === 'spec' || field.json === 'status') && !field.pointer) required = true;
      if (key === 'meta/v1.ObjectMeta' && alwaysInMeta.has(field.json)) required = true;
      const label = /^[A-Za-z_][\w]*$/.test(field.json) ? field.json : `'${field.json}'`;
      lines.push(`  ${label}${required ? '' : '?'}: ${written};`);
    }
    lines.push('}\n');
  }
  files
    .get('meta-v1')
    .push(
      '/** Metadata of an object of a namespaced kind. */\nexport interface NamespacedMeta extends ObjectMeta {\n  namespace: string;\n}\n',
    );

  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  for (const [file, lines] of files) {
    const head = [
      `// Generated by packages/core/generate/types.mjs from ${facts.source} facts. Do not edit; run \`npm run generate\`.`,
      ...[...imports.get(file)].sort().map(other => `import type * as ${alias(other)} from './${other}.js';`),
    ];
    writeFileSync(`${out}${file}.ts`, `${head.join('\n')}\n\n${lines.join('\n')}`);
  }
  const names = [...files.keys()].sort();
  writeFileSync(
    `${out}index.ts`,
    `// Generated by packages/core/generate/types.mjs. Do not edit.\n${names.map(file => `export type * as ${alias(file)} from './${file}.js';`).join('\n')}\n`,
  );
}
