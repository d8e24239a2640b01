/** Whatever bytes come: an object or a StatusError, in time. Whatever was written reads back. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isStatusError } from '../errors/status-error.js';
import { decodeProtobuf, encodeProtobuf } from './protobuf.js';
import { durationOf, durationText } from './text-forms.js';

const testdata = fileURLToPath(new URL('../../testdata/', import.meta.url));
const samples = readdirSync(testdata)
  .filter(file => file.endsWith('.pb'))
  .map(file => readFileSync(`${testdata}${file}`));

function survives(bytes: Buffer): void {
  try {
    const object = decodeProtobuf(bytes);
    expect(typeof object.kind).toBe('string');
    JSON.stringify(object);
  } catch (error) {
    if (!isStatusError(error)) throw error;
    expect([400, 415]).toContain(error.code);
  }
}

type Change = { at: number; type: 'set' | 'cut' | 'insert' | 'double'; byte: number };
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  type: fc.constantFrom('set', 'cut', 'insert', 'double'),
  byte: fc.integer({ min: 0, max: 255 }),
});

function changed(bytes: Buffer, changes: readonly Change[]): Buffer {
  let result = Buffer.from(bytes);
  for (const { at, type, byte } of changes) {
    const index = 4 + Math.floor(at * Math.max(1, result.length - 4));
    if (type === 'set' && index < result.length) result[index] = byte;
    else if (type === 'cut') result = result.subarray(0, index);
    else if (type === 'insert')
      result = Buffer.concat([result.subarray(0, index), Buffer.from([byte]), result.subarray(index)]);
    else if (type === 'double') result = Buffer.concat([result, result.subarray(index)]);
  }
  return result;
}

it('mutated bodies are read or refused', () => {
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.array(change, { minLength: 1, maxLength: 6 }), (bytes, changes) =>
      survives(changed(bytes, changes)),
    ),
    { numRuns: 3_000 },
  );
});

it('random bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => survives(Buffer.concat([Buffer.from('k8s\0'), bytes]))),
    { numRuns: 2_000 },
  );
});

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const some = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const time = fc
  .integer({ min: -62_167_219_200, max: 253_402_300_799 })
  .map(seconds => new Date(seconds * 1000).toISOString().replace('.000', ''));
const nonEmpty = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 });

const pod = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Pod'),
  metadata: fc.record(
    {
      name: some(nonEmpty),
      labels: some(fc.dictionary(text, text, { maxKeys: 4, minKeys: 1 })),
      creationTimestamp: some(time),
      deletionGracePeriodSeconds: some(fc.maxSafeInteger()),
      finalizers: some(fc.array(text, { minLength: 1, maxLength: 3 })),
      managedFields: some(
        fc.array(fc.record({ fieldsV1: fc.dictionary(text, fc.jsonValue(), { maxKeys: 3 }) }), {
          minLength: 1,
          maxLength: 2,
        }),
      ),
    },
    { requiredKeys: [] },
  ),
  spec: fc.record(
    {
      priority: some(int32),
      activeDeadlineSeconds: some(fc.maxSafeInteger()),
      hostNetwork: some(fc.constant(true)),
      automountServiceAccountToken: some(fc.boolean()),
      overhead: some(fc.dictionary(text, fc.constantFrom('1', '250m', '1Gi'), { minKeys: 1, maxKeys: 3 })),
      containers: fc.array(
        fc.record({
          name: nonEmpty,
          resources: fc.constant({}),
          livenessProbe: fc.record({ httpGet: fc.record({ port: fc.oneof(int32, nonEmpty) }) }),
        }),
        { minLength: 1, maxLength: 3 },
      ),
    },
    { requiredKeys: ['containers'] },
  ),
  status: fc.constant({}),
});

it('what was written reads back the same', () => {
  fc.assert(
    fc.property(pod, object => {
      const plain = JSON.parse(JSON.stringify(object));
      expect(JSON.parse(JSON.stringify(decodeProtobuf(encodeProtobuf(plain))))).toEqual(plain);
    }),
    { numRuns: 500 },
  );
});

it('durations read back the same', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), nanoseconds => {
      expect(durationOf(durationText(nanoseconds))).toBe(nanoseconds);
    }),
  );
});
