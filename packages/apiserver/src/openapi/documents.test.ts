/** The documents as clients see them: v2 in protobuf and JSON, v3 with hashes, both anew when the kinds change. */
import { builtinKinds, ConfigMap, Deployment, kindRegistry, Pod } from '@orbitkit/core';
import { defineKind } from '@orbitkit/core/define-kind';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type TestServer, testServer } from '../http/test-server.js';

const gnostic = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
/** As it is answered: `@` is not allowed in a media type. */
const answered = gnostic.replace('@', '.');

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

async function v2(accept: string, more: Record<string, string> = {}) {
  const answer = await server.transport.request({ method: 'GET', path: '/openapi/v2', headers: { accept, ...more } });
  return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.bytes()) };
}

type Fields = Map<number, (Buffer | number)[]>;

/** The fields of a message by number, as protobuf's encoding has them. */
function fieldsOf(bytes: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    let value: Buffer | number;
    if ((tag & 7) === 0) value = varint();
    else {
      expect(tag & 7).toBe(2);
      const length = varint();
      value = bytes.subarray(at, at + length);
      at += length;
    }
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  expect(at).toBe(bytes.length);
  return fields;
}
const inner = (fields: Fields, ...path: number[]): Fields =>
  path.reduce((at, number) => fieldsOf(at.get(number)![0] as Buffer), fields);
const textOf = (fields: Fields, number: number): string => String(fields.get(number)?.[0] ?? '');
/** Entries `{name: 1, value: 2}` of a map. */
const entries = (fields: Fields, number: number): Map<string, Fields> =>
  new Map(
    (fields.get(number) ?? []).map(each => {
      const entry = fieldsOf(each as Buffer);
      return [textOf(entry, 1), inner(entry, 2)];
    }),
  );
const yaml = (extension: Fields | undefined): unknown => JSON.parse(textOf(extension!, 2));

describe('/openapi/v2', () => {
  it('is gnostic protobuf: each kind with its fields and how they merge', async () => {
    const { status, headers, bytes } = await v2(gnostic);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe(answered);
    const document = fieldsOf(bytes);
    expect(textOf(document, 1)).toBe('2.0');
    const definitions = entries(inner(document, 9), 1);
    for (const kind of builtinKinds) {
      const named = [...definitions.values()].filter(definition => {
        const gvks = entries(definition, 31).get('x-kubernetes-group-version-kind');
        return (
          gvks &&
          (yaml(gvks) as any[]).some(
            gvk => gvk.kind === kind.kind && gvk.group === kind.group && gvk.version === kind.version,
          )
        );
      });
      expect([`${kind.group}/${kind.kind}`, named.length]).toEqual([`${kind.group}/${kind.kind}`, 1]);
    }
    const podSpec = entries(inner(definitions.get('io.k8s.api.core.v1.PodSpec')!, 25), 1);
    const containers = podSpec.get('containers')!;
    expect(textOf(inner(containers, 22), 1)).toBe('array');
    expect(textOf(inner(containers, 23, 1), 1)).toBe('#/definitions/io.k8s.api.core.v1.Container');
    expect(yaml(entries(containers, 31).get('x-kubernetes-patch-merge-key'))).toBe('name');
    expect(textOf(inner(podSpec.get('nodeSelector')!, 21, 1, 22), 1)).toBe('string');
  });

  it('refers to nothing that is not there', async () => {
    const { body } = await server.json('/openapi/v2', { headers: { accept: 'application/json' } });
    const references = [...JSON.stringify(body).matchAll(/"\$ref":"([^"]+)"/g)].map(([, name]) => name!);
    expect(references.length).toBeGreaterThan(500);
    for (const name of new Set(references))
      expect(body.definitions).toHaveProperty([name.replace('#/definitions/', '')]);
    expect(JSON.stringify(body)).not.toContain('#/components/');
    const quantity = body.definitions['io.k8s.apimachinery.pkg.api.resource.Quantity'];
    expect(quantity).toEqual({ type: 'string', description: expect.any(String) });
    for (const definition of Object.values<any>(body.definitions))
      for (const property of Object.values<any>(definition.properties ?? {}))
        if (property.type === 'array') expect(property.items).toBeTypeOf('object');
  });

  it('says that writes are validated by the server', async () => {
    const document = fieldsOf((await v2(gnostic)).bytes);
    const patch = inner(
      entries(inner(document, 8), 2).get('/apis/apps/v1/namespaces/{namespace}/deployments/{name}')!,
      8,
    );
    expect(yaml(entries(patch, 13).get('x-kubernetes-group-version-kind'))).toEqual({
      group: 'apps',
      kind: 'Deployment',
      version: 'v1',
    });
    const queries = (patch.get(8) ?? []).map(each => inner(fieldsOf(each as Buffer), 1)).filter(each => each.has(2));
    expect(queries.map(each => textOf(inner(each, 2, 3), 4))).toEqual(
      expect.arrayContaining(['fieldValidation', 'dryRun']),
    );
  });

  it('is what is asked for first, and JSON only when that is asked for', async () => {
    expect((await v2(`${gnostic}, application/json`)).headers['content-type']).toBe(answered);
    expect((await v2(answered)).headers['content-type']).toBe(answered);
    expect((await v2('application/json, */*')).headers['content-type']).toBe('application/json');
    expect((await v2('application/json;as=Table;v=v1;g=meta.k8s.io')).status).toBe(406);
    expect((await v2('application/vnd.kubernetes.protobuf')).status).toBe(406);
  });

  it('is known by its tag', async () => {
    const { headers } = await v2(gnostic);
    const again = await v2(gnostic, { 'if-none-match': headers['etag']! });
    expect(again).toMatchObject({ status: 304, bytes: Buffer.alloc(0) });
    expect((await v2('application/json')).headers['etag']).not.toBe(headers['etag']);
  });
});

it('kinds that come later are in both, under a new hash', async () => {
  const kinds = kindRegistry([Pod, ConfigMap, Deployment]);
  await using live = await testServer({ kinds });
  const index = async () => (await live.json('/openapi/v3')).body.paths;
  const before = await index();
  expect(before).not.toHaveProperty(['apis/example.com/v1']);
  const Widget = defineKind({
    group: 'example.com',
    version: 'v1',
    kind: 'Widget',
    spec: z.object({ size: z.number().int().describe('How wide.') }),
  });
  kinds.add(Widget);
  const after = await index();
  expect(after['api/v1']).toEqual(before['api/v1']);
  const document = (await live.json(after['apis/example.com/v1'].serverRelativeURL)).body;
  expect(JSON.stringify(document.components.schemas)).toContain('How wide.');
  const swagger = (await live.json('/openapi/v2', { headers: { accept: 'application/json' } })).body;
  expect(Object.keys(swagger.definitions)).toContain('com.example.v1.Widget');
});
