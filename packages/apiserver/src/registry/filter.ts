/**
 * What a list or watch selects, compiled once: a namespace, a name, labels, fields. Two filters with the same `key` select the same,
 * so that watchers which want the same share their events.
 */
import { type Kind, parseLabelSelector } from '@orbitkit/core';
import type { Selectors } from './contract.js';
import { fieldSelectorFor, selectableFieldsFor } from './field-selectors.js';
import type { StoredObject } from './object-bytes.js';

export interface Filter {
  readonly key: string;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** The one name that can match. */
  readonly name: string | undefined;
  /** The value that the resource's indexed field must have. */
  readonly indexed: string | undefined;
  /** Labels or fields are selected by: the object must be looked into. Without, namespace and name decide. */
  readonly selective: boolean;
  /** Labels and fields only; namespace and name are the caller's. */
  matches(object: StoredObject): boolean;
}

const everything = () => true;

/** @throws StatusError BadRequest */
export function filterOf(kind: Kind, selectors: Selectors): Filter {
  const labelText = selectors.labelSelector ?? '';
  const fieldText = selectors.fieldSelector ?? '';
  let namespace = selectors.namespace || undefined;
  if (labelText === '' && fieldText === '') {
    return { key: '', namespace, name: undefined, indexed: undefined, selective: false, matches: everything };
  }
  const labels = parseLabelSelector(labelText);
  const selectableFields = selectableFieldsFor(kind);
  const fields = fieldSelectorFor(selectableFields, fieldText);
  const name = fields.exactly('metadata.name');
  const selectedNamespace = fields.exactly('metadata.namespace');
  if (namespace === undefined && selectedNamespace) namespace = selectedNamespace;
  // Exact names and namespaces are decided by the index; a contradiction between them still goes through `matches`.
  const looked = fields.requirements.filter(
    each =>
      !(each.operator === '=' && each.field === 'metadata.name' && each.value === name) &&
      !(each.operator === '=' && each.field === 'metadata.namespace' && each.value === namespace),
  );
  const selective = !labels.everything || looked.length > 0;
  return {
    key: `${labels.toString()}\n${looked.map(each => `${each.field}${each.operator}${each.value}`).join('\n')}`,
    namespace,
    name,
    indexed: selectableFields.indexed === undefined ? undefined : fields.exactly(selectableFields.indexed),
    selective,
    matches: selective
      ? object => {
          const facts = object.selectable(selectableFields);
          if (!labels.everything && !labels.matches(facts.labels)) return false;
          for (const { field, operator, value } of looked) {
            if (((facts.fields[field] ?? '') === value) !== (operator === '=')) return false;
          }
          return true;
        }
      : everything,
  };
}
