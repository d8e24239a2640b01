/** A kind's schema as types for CEL, so that expressions over its objects can be checked before there are any. Nothing is evaluated with them. */
import type { Kind, Schema, StructSchema } from '@orbitkit/core';
import { celEnvironment } from '../cel/environment.js';
import type { CelEnvironment } from '../cel/expression.js';
import { escapedName } from '../crd/cel-types.js';

export class KindTypes {
  readonly #environment: CelEnvironment = celEnvironment();
  readonly #declared = new Map<string, string>();

  /** The name under which the kind's objects are known in `environment()`. Ask for all first. */
  declare(kind: Kind): string {
    return this.#nameOf(kind.schema);
  }

  environment(): CelEnvironment {
    return this.#environment.clone();
  }

  #nameOf(schema: Schema): string {
    switch (schema.type) {
      case 'struct':
        return this.#structName(schema);
      case 'list':
        return `list<${this.#nameOf(schema.items)}>`;
      case 'map':
        return `map<string, ${this.#nameOf(schema.values)}>`;
      case 'scalar':
        return scalarNames[schema.form] ?? 'dyn';
    }
  }

  #structName(schema: StructSchema): string {
    // What keeps unknown fields can hold any.
    if (schema.preserveUnknownFields) return 'dyn';
    const known = this.#declared.get(schema.name);
    if (known !== undefined) return known;
    const name = `kind_${schema.name.replace(/[^A-Za-z0-9]/g, '_')}_${this.#declared.size}`;
    // While a type is being declared, what recurs into it is open.
    this.#declared.set(schema.name, 'dyn');
    const fields: Record<string, string> = {};
    for (const [key, field] of schema.fields) {
      const as = escapedName(key);
      if (as !== undefined) fields[as] = this.#nameOf(field.schema);
    }
    this.#environment
      .registerType(name, { ctor: class {}, fields })
      .registerOperator(`${name} == ${name}`, () => false)
      .registerOperator(`${name} == null`, () => false);
    this.#declared.set(schema.name, name);
    return name;
  }
}

const scalarNames: Readonly<Record<string, string>> = {
  string: 'string',
  quantity: 'string',
  duration: 'string',
  boolean: 'bool',
  int32: 'int',
  int64: 'int',
  double: 'double',
  bytes: 'bytes',
  time: 'google.protobuf.Timestamp',
  microtime: 'google.protobuf.Timestamp',
};
