/**
 * The kind CustomResourceDefinition as this server serves it: the built-in type, with schemas read to their depth, defaults, and all rules of
 * definitions. (The rules need a regular-expression engine and CEL, which the light core does without.)
 */
import { CustomResourceDefinition, type FieldError, type Kind } from '@orbitkit/core';
import type { Definition } from './custom-kind.js';
import { checkNames, definitionErrors } from './definition-rules.js';
import { settleSchema } from './schema-shape.js';

/** @param builtin What its types, columns and address are taken from. */
export function definitionKind(builtin: Kind<any> = CustomResourceDefinition): Kind<Definition> {
  return {
    ...builtin,
    get schema() {
      return builtin.schema;
    },
    get columns() {
      return builtin.columns;
    },
    decode(value) {
      const decoded = builtin.decode(value);
      for (const [i, version] of (decoded.object.spec?.versions ?? []).entries()) {
        const schema = version.schema?.openAPIV3Schema;
        if (schema) settleSchema(schema, `spec.versions[${i}].schema.openAPIV3Schema`);
      }
      return decoded;
    },
    applyDefaults(definition) {
      builtin.applyDefaults(definition);
      fillNames(definition);
    },
    validate(definition, previous) {
      const errors: FieldError[] = [
        ...builtin.validate(definition, previous),
        ...definitionErrors(definition, previous),
      ];
      if (definition.status?.acceptedNames) checkNames(definition.status.acceptedNames, 'status.acceptedNames', errors);
      return errors;
    },
  };
}

function fillNames({ spec }: Definition): void {
  const { names } = spec;
  if (names?.kind) {
    names.singular ||= names.kind.toLowerCase();
    names.listKind ||= `${names.kind}List`;
  }
  spec.conversion ??= { strategy: 'None' };
  const service = spec.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= 443;
}
