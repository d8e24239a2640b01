/**
 * The OpenAPI v2 document of everything that is served, made out of the v3 documents: kubectl up to 1.28 reads it before a validated
 * create or apply, `kubectl explain --output=plaintext-openapiv2` in every version.
 *
 * What v2 cannot say is left out: `oneOf` (quantities are texts, int-or-string has its format), `anyOf`, `not`, nullable, links.
 */
type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [name: string]: Json;
}

const methods = ['get', 'put', 'post', 'delete', 'patch'] as const;

/** @param documents v3 documents of the group versions. Schemas and paths of one name are the same in each. */
export function swaggerOf(documents: Iterable<JsonObject>, info: { title: string; version: string }): JsonObject {
  const paths: Record<string, Json> = {};
  const definitions: Record<string, Json> = {};
  for (const document of documents) {
    for (const [path, item] of Object.entries(objectOf(document['paths'])))
      paths[path] ??= pathItem(item as JsonObject);
    const schemas = objectOf(objectOf(document['components'])['schemas']);
    for (const [name, schema] of Object.entries(schemas)) definitions[name] ??= schemaOf(schema as JsonObject);
  }
  const sorted = (values: Record<string, Json>): JsonObject =>
    Object.fromEntries(Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    swagger: '2.0',
    info,
    paths: sorted(paths),
    definitions: sorted(definitions),
    securityDefinitions: {
      BearerToken: { description: 'Bearer token', type: 'apiKey', name: 'authorization', in: 'header' },
    },
    security: [{ BearerToken: [] }],
  };
}

const objectOf = (value: Json | undefined): JsonObject => (value ?? {}) as JsonObject;
const inV2 = (reference: string): string => reference.replace('#/components/schemas/', '#/definitions/');

/** A reference stands alone in v2, with its description and extensions beside it. */
function schemaOf({ allOf, oneOf, anyOf: _, not: __, nullable: ___, ...schema }: JsonObject): JsonObject {
  const result: Record<string, Json> = { ...schema };
  const [only, ...more] = (allOf ?? []) as readonly JsonObject[];
  if (only && more.length === 0) Object.assign(result, schemaOf(only));
  else if (only) result['allOf'] = [only, ...more].map(schemaOf);
  if (oneOf && !('type' in result) && !result['x-kubernetes-int-or-string']) result['type'] = 'string';
  // kubectl refuses the whole document for a list of it does not know what.
  if (result['type'] === 'array' && !result['items']) delete result['type'];
  if (typeof result['$ref'] === 'string') result['$ref'] = inV2(result['$ref']);
  for (const name of ['items', 'additionalProperties']) {
    const inner = result[name];
    if (typeof inner === 'object' && inner !== null) result[name] = schemaOf(inner as JsonObject);
  }
  if (result['properties']) {
    const properties = Object.entries(objectOf(result['properties']));
    result['properties'] = Object.fromEntries(properties.map(([name, each]) => [name, schemaOf(each as JsonObject)]));
  }
  return result;
}

function pathItem(item: JsonObject): JsonObject {
  const result: Record<string, Json> = {};
  for (const method of methods) if (item[method]) result[method] = operation(item[method] as JsonObject);
  if (item['parameters']) result['parameters'] = parameters(item['parameters']);
  return result;
}

function operation({ parameters: own, requestBody, responses, ...rest }: JsonObject): JsonObject {
  const content = Object.entries(objectOf(objectOf(requestBody)['content']));
  const body = content[0]?.[1] as JsonObject | undefined;
  return {
    ...rest,
    consumes: content.length > 0 ? content.map(([type]) => type) : ['*/*'],
    produces: ['application/json', 'application/yaml'],
    parameters: [
      ...(body
        ? [
            {
              name: 'body',
              in: 'body',
              ...(objectOf(requestBody)['required'] ? { required: true } : {}),
              schema: schemaOf(objectOf(body['schema'])),
            },
          ]
        : []),
      ...parameters(own ?? []),
    ],
    responses: Object.fromEntries(
      Object.entries(objectOf(responses)).map(([code, response]) => {
        const { description, content: answers } = response as JsonObject;
        const answer = Object.values(objectOf(answers))[0] as JsonObject | undefined;
        return [
          code,
          { description: description ?? '', ...(answer ? { schema: schemaOf(objectOf(answer['schema'])) } : {}) },
        ];
      }),
    ),
  };
}

/** The schema of a parameter stands in the parameter itself. */
const parameters = (list: Json): JsonObject[] =>
  (list as readonly JsonObject[]).map(({ schema, ...parameter }) => ({ ...objectOf(schema), ...parameter }));
