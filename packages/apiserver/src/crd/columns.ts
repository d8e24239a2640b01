/** Printer columns of a custom resource: `additionalPrinterColumns`, evaluated by JSONPath. Source: apiextensions-apiserver `tableconvertor` (v0.33). */
import {
  ageOf,
  type apiextensionsv1,
  type Column,
  customDefaultColumns,
  defaultColumns,
  parseTime,
} from '@orbitkit/core';
import { parseJsonPath } from './json-path.js';

type ColumnDefinition = apiextensionsv1.CustomResourceColumnDefinition;

const types = new Set<Column['type']>(['string', 'integer', 'number', 'boolean', 'date']);

/** The name first; without definitions name and age. */
export function columnsOf(definitions: readonly ColumnDefinition[] | undefined): readonly Column<any>[] {
  if (!definitions?.length) return customDefaultColumns;
  return [defaultColumns[0]!, ...definitions.map(columnOf)];
}

function columnOf({ name, type, format, description, priority, jsonPath }: ColumnDefinition): Column<any> {
  const shape = types.has(type as Column['type']) ? (type as Column['type']) : 'string';
  return {
    name,
    type: shape,
    format: format ?? '',
    description: description || `Custom resource definition column (in JSONPath format): ${jsonPath}`,
    priority: priority ?? 0,
    cell: cellOf(jsonPath, shape),
  };
}

type Cell = Column<any>['cell'];

function cellOf(path: string, type: Column['type']): Cell {
  let find: (value: unknown) => unknown[];
  try {
    find = parseJsonPath(path);
  } catch {
    // A path that cannot be read shows nothing; the definition was accepted, as Kubernetes does.
    return () => null;
  }
  if (type === 'date') return (object, now) => ageCell(find(object)[0], now);
  return object => cellValue(find(object)[0], type);
}

/** kubectl prints what it is given: the server tells ages. */
function ageCell(value: unknown, now: number): ReturnType<Cell> {
  if (typeof value !== 'string') return null;
  return parseTime(value) === undefined ? '<invalid>' : ageOf(value, now);
}

/** A value of another type than the column's shows nothing. */
function cellValue(value: unknown, type: Column['type']): ReturnType<Cell> {
  if (value === undefined || value === null) return null;
  switch (type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    default:
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
}
