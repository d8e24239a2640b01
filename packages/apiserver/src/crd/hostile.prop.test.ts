/** Whatever a client sends as a schema, a rule or an object, the server answers with what is wrong with it, never with a fault of its own. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CrdServer, crdServer, crds, widgetPath, widgets } from './crd-fixture.js';

let server: CrdServer;
beforeAll(async () => {
  server = await crdServer();
});
afterAll(() => server.stop());

const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(null, true, 0, -1, 1e300, '', '(', '\u0000', '__proto__', [], {}, [null], { type: 5 }),
);
const keyword = fc.constantFrom(
  ...(
    'type properties items additionalProperties required enum default nullable allOf anyOf oneOf not pattern format minimum maximum ' +
    'multipleOf minLength maxLength minItems maxItems minProperties maxProperties uniqueItems $ref definitions dependencies ' +
    'x-kubernetes-preserve-unknown-fields x-kubernetes-embedded-resource x-kubernetes-int-or-string x-kubernetes-list-type ' +
    'x-kubernetes-list-map-keys x-kubernetes-map-type x-kubernetes-validations description title example externalDocs'
  ).split(' '),
);

const type = fc.constantFrom('object', 'array', 'string', 'integer', 'number', 'boolean');
const name = fc.constantFrom('a', 'b', 'metadata', 'kind', 'constructor', 'foo-bar', 'in', '__proto__x');
const rule = fc.constantFrom(
  ...[
    'true',
    'self.a > 0',
    'self == oldSelf',
    'size(self) < 3',
    'self.a.b.c',
    '1/0 == 1',
    "self.matches('(')",
    'self.all(x, x)',
    ')(',
    'self[',
    'oldSelf',
    'has(self.a)',
    '"',
  ],
);

/** Mostly well-formed, so that much of it is accepted. */
const { schema } = fc.letrec<{ schema: any }>(tie => ({
  schema: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    fc.record({ type }, { requiredKeys: ['type'] }),
    fc.record(
      {
        type: fc.constant('object'),
        properties: fc.dictionary(name, tie('schema'), { maxKeys: 3 }),
        required: fc.array(name, { maxLength: 2 }),
      },
      { requiredKeys: ['type', 'properties'] },
    ),
    fc.record(
      {
        type: fc.constant('array'),
        items: tie('schema'),
        'x-kubernetes-list-type': fc.constantFrom('atomic', 'set', 'map'),
      },
      { requiredKeys: ['type', 'items'] },
    ),
    fc.record({ type: fc.constant('object'), additionalProperties: tie('schema') }),
    fc.record(
      {
        type: fc.constant('string'),
        pattern: fc.constantFrom('^a+$', '[', '(?i)x'),
        format: fc.constantFrom('date', 'uri', 'zzz'),
        default: junk,
      },
      { requiredKeys: ['type'] },
    ),
    fc.record({ 'x-kubernetes-int-or-string': fc.constant(true) }),
    fc.record({
      type: fc.constant('object'),
      'x-kubernetes-preserve-unknown-fields': fc.constant(true),
      'x-kubernetes-embedded-resource': fc.boolean(),
    }),
    fc.tuple(tie('schema'), fc.array(rule, { maxLength: 2 })).map(([of, rules]: [any, string[]]) => ({
      ...of,
      'x-kubernetes-validations': rules.map(text => ({ rule: text })),
    })),
    fc.tuple(tie('schema'), keyword, junk).map(([of, key, value]: [any, string, unknown]) => ({ ...of, [key]: value })),
  ),
}));

let count = 0;
let served = 0;
function definitionOf(spec: unknown): any {
  const definition = widgets(spec as never);
  const plural = `widgets${++count}`;
  definition.metadata.name = `${plural}.example.com`;
  definition.spec.names = { plural, kind: `Widget${count}` };
  return definition;
}

const settings = { numRuns: 150, endOnFailure: true } as const;

describe('hostile input', () => {
  it('as a schema is refused or served, and so are objects of it', async () => {
    await fc.assert(
      fc.asyncProperty(schema, fc.array(junk, { minLength: 1, maxLength: 3 }), async (spec, values) => {
        const definition = definitionOf(spec);
        const { plural, kind } = definition.spec.names;
        const created = await server.request('POST', crds, definition);
        expect([201, 400, 422]).toContain(created.status);
        if (created.status !== 201) return;
        served++;
        await server.define({ ...definitionOf({ type: 'object' }) });
        const path = widgetPath.replace('widgets', plural);
        for (const [i, value] of values.entries()) {
          const body = { apiVersion: 'example.com/v1', kind, metadata: { name: `o${i}` }, spec: value };
          const answer = await server.request('POST', path, body);
          expect([201, 400, 404, 422]).toContain(answer.status);
          const again = await server.request('PUT', `${path}/o${i}`, body);
          expect(again.status).toBeLessThan(500);
        }
        expect((await server.request('GET', path)).status).toBeLessThan(500);
        expect((await server.request('DELETE', `${crds}/${definition.metadata.name}`)).status).toBe(200);
      }),
      settings,
    );
    // Else it would have shown little.
    expect(served).toBeGreaterThan(10);
  }, 120_000);

  it('as a definition, whatever is wrong with it, is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.jsonValue({ maxDepth: 3 }),
        fc.constantFrom(
          'spec',
          'spec.versions',
          'spec.names',
          'spec.conversion',
          'status',
          'spec.versions.0.schema',
          'spec.versions.0.subresources',
          'spec.versions.0.additionalPrinterColumns',
          'spec.versions.0.selectableFields',
        ),
        async (value, at) => {
          const definition = definitionOf({ type: 'object' });
          const steps = at.split('.');
          const holder = steps.slice(0, -1).reduce((of, step) => of[step], definition);
          holder[steps.at(-1)!] = value;
          const answer = await server.request('POST', crds, definition);
          expect(answer.status).toBeLessThan(500);
          if (answer.status === 201) await server.request('DELETE', `${crds}/${definition.metadata.name}`);
        },
      ),
      settings,
    );
  }, 120_000);

  it('as a patch of an object is refused or applied', async () => {
    await server.define(
      widgets({
        type: 'object',
        properties: {
          n: { type: 'integer' },
          l: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['k'],
            items: { type: 'object', required: ['k'], properties: { k: { type: 'string' } } },
          },
        },
        'x-kubernetes-validations': [
          { rule: '!has(self.n) || self.n < 10' },
          { rule: '!has(self.l) || self.l.all(x, x.k.size() < 5)' },
        ],
      }),
    );
    await server.request('POST', widgetPath, {
      apiVersion: 'example.com/v1',
      kind: 'Widget',
      metadata: { name: 'w' },
      spec: { n: 1 },
    });
    const types = ['merge-patch+json', 'json-patch+json', 'apply-patch+yaml'];
    await fc.assert(
      fc.asyncProperty(
        junk,
        fc.constantFrom(...types),
        fc.constantFrom('spec', 'metadata', 'l', 'whole'),
        async (value, of, at) => {
          const merge = at === 'whole' ? value : at === 'l' ? { spec: { l: [value, { k: value }] } } : { [at]: value };
          const patch = of.startsWith('json') ? [{ op: 'add', path: '/spec', value }] : merge;
          const body =
            of.startsWith('apply') && typeof patch === 'object' && !Array.isArray(patch)
              ? { apiVersion: 'example.com/v1', kind: 'Widget', ...patch }
              : patch;
          const answer = await server.request(
            'PATCH',
            `${widgetPath}/w?fieldManager=f&force=${of.startsWith('apply')}`,
            JSON.stringify(body),
            { 'content-type': `application/${of}` },
          );
          expect({
            status: answer.status < 500,
            answer: answer.status < 500 ? undefined : answer.body,
            body,
          }).toMatchObject({ status: true });
        },
      ),
      { ...settings, numRuns: 300 },
    );
  }, 120_000);
});
