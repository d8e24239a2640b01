/**
 * Writes an OpenAPI v2 document as the protobuf message `openapi.v2.Document` of gnostic: the only form in which kubectl takes it.
 *
 * Covers what swagger.ts makes: schemas, operations, query, path and body parameters, one API key. Field numbers: gnostic
 * `openapiv2/OpenAPIv2.proto`. Free values (defaults, extensions) travel as YAML text, and JSON is YAML.
 */
import { WireWriter } from '@orbitkit/core/protobuf';
import type { JsonObject } from './swagger.js';

type Value = JsonObject[string] | undefined;

const bytes = 2;

export function gnosticDocument(document: JsonObject): Buffer {
  const writer = new WireWriter(1 << 20);
  const { info, paths, definitions, security, securityDefinitions } = document;
  text(writer, 1, document['swagger']);
  message(writer, 2, () => {
    text(writer, 1, object(info)['title']);
    text(writer, 2, object(info)['version']);
  });
  message(writer, 8, () => named(writer, 2, paths, pathItem));
  message(writer, 9, () => named(writer, 1, definitions, schema));
  for (const each of list(security))
    message(writer, 12, () =>
      named(writer, 1, each, (inner, scopes) => {
        for (const scope of list(scopes)) text(inner, 1, scope);
      }),
    );
  message(writer, 13, () =>
    named(writer, 1, securityDefinitions, (inner, key) =>
      message(inner, 2, () => {
        for (const [number, name] of [
          [1, 'type'],
          [2, 'name'],
          [3, 'in'],
          [4, 'description'],
        ] as const)
          text(inner, number, object(key)[name]);
      }),
    ),
  );
  return writer.result();
}

const object = (value: Value): JsonObject => (value ?? {}) as JsonObject;
const list = (value: Value): readonly JsonObject[string][] => (value ?? []) as readonly JsonObject[string][];

function message(writer: WireWriter, number: number, write: () => void): void {
  writer.tag(number, bytes);
  writer.message(write);
}

function text(writer: WireWriter, number: number, value: Value): void {
  if (typeof value !== 'string' || value === '') return;
  writer.tag(number, bytes);
  writer.string(value);
}

function flag(writer: WireWriter, number: number, value: Value): void {
  if (value !== true) return;
  writer.tag(number, 0);
  writer.uint32(1);
}

function integer(writer: WireWriter, number: number, value: Value): void {
  if (typeof value !== 'number') return;
  writer.tag(number, 0);
  writer.int64(Math.trunc(value));
}

function double(writer: WireWriter, number: number, value: Value): void {
  if (typeof value !== 'number') return;
  writer.tag(number, 1);
  writer.double(value);
}

/** `Any`: its YAML text (2). */
function any(writer: WireWriter, number: number, value: Value): void {
  if (value === undefined) return;
  message(writer, number, () => text(writer, 2, JSON.stringify(value)));
}

/** A map as a list of `{name: 1, value: 2}`. */
function named(
  writer: WireWriter,
  number: number,
  map: Value,
  write: (writer: WireWriter, value: JsonObject[string]) => void,
): void {
  for (const [name, value] of Object.entries(object(map)))
    message(writer, number, () => {
      text(writer, 1, name);
      message(writer, 2, () => write(writer, value));
    });
}

function extensions(writer: WireWriter, number: number, value: JsonObject): void {
  for (const [name, each] of Object.entries(value))
    if (name.startsWith('x-'))
      message(writer, number, () => {
        text(writer, 1, name);
        any(writer, 2, each);
      });
}

function schema(writer: WireWriter, of: Value): void {
  const value = object(of);
  text(writer, 1, value['$ref']);
  text(writer, 2, value['format']);
  text(writer, 3, value['title']);
  text(writer, 4, value['description']);
  any(writer, 5, value['default']);
  double(writer, 6, value['multipleOf']);
  double(writer, 7, value['maximum']);
  flag(writer, 8, value['exclusiveMaximum']);
  double(writer, 9, value['minimum']);
  flag(writer, 10, value['exclusiveMinimum']);
  integer(writer, 11, value['maxLength']);
  integer(writer, 12, value['minLength']);
  text(writer, 13, value['pattern']);
  integer(writer, 14, value['maxItems']);
  integer(writer, 15, value['minItems']);
  flag(writer, 16, value['uniqueItems']);
  integer(writer, 17, value['maxProperties']);
  integer(writer, 18, value['minProperties']);
  for (const name of list(value['required'])) text(writer, 19, name);
  for (const each of list(value['enum'])) any(writer, 20, each);
  const more = value['additionalProperties'];
  if (typeof more === 'boolean') message(writer, 21, () => flag(writer, 2, more));
  else if (more !== undefined) message(writer, 21, () => message(writer, 1, () => schema(writer, more)));
  if (value['type'] !== undefined) message(writer, 22, () => text(writer, 1, value['type']));
  if (value['items'] !== undefined) message(writer, 23, () => message(writer, 1, () => schema(writer, value['items'])));
  for (const each of list(value['allOf'])) message(writer, 24, () => schema(writer, each));
  if (value['properties'] !== undefined) message(writer, 25, () => named(writer, 1, value['properties'], schema));
  extensions(writer, 31, value);
}

const operations = [
  ['get', 2],
  ['put', 3],
  ['post', 4],
  ['delete', 5],
  ['patch', 8],
] as const;

function pathItem(writer: WireWriter, item: Value): void {
  const value = object(item);
  for (const [method, number] of operations)
    if (value[method] !== undefined) message(writer, number, () => operation(writer, object(value[method])));
  for (const each of list(value['parameters'])) parameter(writer, 9, object(each));
}

function operation(writer: WireWriter, value: JsonObject): void {
  for (const tag of list(value['tags'])) text(writer, 1, tag);
  text(writer, 3, value['description']);
  text(writer, 5, value['operationId']);
  for (const type of list(value['produces'])) text(writer, 6, type);
  for (const type of list(value['consumes'])) text(writer, 7, type);
  for (const each of list(value['parameters'])) parameter(writer, 8, object(each));
  message(writer, 9, () =>
    named(writer, 1, value['responses'], (inner, response) =>
      message(inner, 1, () => {
        const { description, schema: answer } = object(response);
        text(inner, 1, description);
        if (answer !== undefined) message(inner, 2, () => message(inner, 1, () => schema(inner, answer)));
      }),
    ),
  );
  extensions(writer, 13, value);
}

/** `ParametersItem{parameter: 1}` of `Parameter{body: 1, other: 2}`; of the others `NonBodyParameter{query: 3, path: 4}`. */
function parameter(writer: WireWriter, number: number, value: JsonObject): void {
  const inBody = value['in'] === 'body';
  const inQuery = value['in'] === 'query';
  const plain = (): void => {
    flag(writer, 1, value['required']);
    text(writer, 2, value['in']);
    text(writer, 3, value['description']);
    text(writer, 4, value['name']);
    // A query parameter has `allow_empty_value` at 5, which moves what follows.
    text(writer, inQuery ? 6 : 5, value['type']);
    text(writer, inQuery ? 7 : 6, value['format']);
    flag(writer, inQuery ? 20 : 19, value['uniqueItems']);
  };
  const body = (): void => {
    text(writer, 1, value['description']);
    text(writer, 2, value['name']);
    text(writer, 3, value['in']);
    flag(writer, 4, value['required']);
    message(writer, 5, () => schema(writer, value['schema']));
  };
  message(writer, number, () =>
    message(writer, 1, () => {
      if (inBody) message(writer, 1, body);
      else message(writer, 2, () => message(writer, inQuery ? 3 : 4, plain));
    }),
  );
}
