import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { isStatusError, type StatusError } from '../errors/status-error.js';
import { decodeProtobuf, encodeProtobuf, isProtobuf } from './protobuf.js';
import { durationOf, durationText, timeOf, timeText } from './text-forms.js';
import { WireWriter } from './wire-writer.js';

const testdata = fileURLToPath(new URL('../../testdata/', import.meta.url));
const files = readdirSync(testdata)
  .filter(file => file.endsWith('.pb'))
  .map(file => file.slice(0, -3));
/** Nobody sends these in a request, and no kind reaches them. */
const neverSent = [
  'apidiscovery.k8s.io.v2.APIGroupDiscovery',
  'apidiscovery.k8s.io.v2beta1.APIGroupDiscovery',
  'core.v1.APIGroup',
  'core.v1.APIVersions',
  'core.v1.PodStatusResult',
  'core.v1.RangeAllocation',
  'core.v1.SerializedReference',
  'core.v1.WatchEvent',
];
const samples = files.filter(file => !neverSent.includes(file));
const bytesOf = (sample: string): Buffer => readFileSync(`${testdata}${sample}.pb`);
const jsonOf = (sample: string) => JSON.parse(readFileSync(`${testdata}${sample}.json`, 'utf8'));

describe("Kubernetes' own samples, with every field of a type filled in", () => {
  it.each(samples)('%s reads as its JSON, and is written as it was', sample => {
    const bytes = bytesOf(sample);
    expect(isProtobuf(bytes)).toBe(true);
    const json = jsonOf(sample);
    expect(decodeProtobuf(bytes)).toEqual(json);
    const written = encodeProtobuf(json);
    expect(decodeProtobuf(written)).toEqual(json);
    expect(written.equals(bytes)).toBe(true);
  });
});

/** A body whose message is written by hand. */
function body(apiVersion: string, kind: string, write: (writer: WireWriter) => void): Buffer {
  const raw = new WireWriter();
  write(raw);
  const envelope = new WireWriter();
  envelope.tag(1, 2);
  envelope.message(() => {
    envelope.tag(1, 2);
    envelope.string(apiVersion);
    envelope.tag(2, 2);
    envelope.string(kind);
  });
  envelope.tag(2, 2);
  envelope.bytes(raw.result());
  return Buffer.concat([Buffer.from('k8s\0'), envelope.result()]);
}

function refusal(bytes: Uint8Array): StatusError {
  try {
    decodeProtobuf(bytes);
  } catch (error) {
    if (isStatusError(error)) return error;
    throw error;
  }
  throw new Error('it was read');
}

describe('zero values', () => {
  it('are absent where Go omits them, and kept behind a pointer', () => {
    const deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: { replicas: 0, selector: {}, template: { metadata: {}, spec: { containers: null } }, strategy: {} },
    };
    expect(decodeProtobuf(encodeProtobuf(deployment))).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'd' },
      spec: { replicas: 0, selector: {}, template: { metadata: {}, spec: {} }, strategy: {} },
      status: {},
    });
  });

  it('of claims, accounts and ports', () => {
    const read = (object: { apiVersion: string; kind: string }): any => decodeProtobuf(encodeProtobuf(object));
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'a' } };
    expect(read({ ...account, automountServiceAccountToken: false } as typeof account)).toEqual({
      ...account,
      automountServiceAccountToken: false,
    });
    expect(read(account)).toEqual(account);
    const service = {
      apiVersion: 'v1',
      kind: 'Service',
      spec: { ports: [{ name: '', port: 80, targetPort: 'http' }] },
    };
    expect(read(service).spec.ports).toEqual([{ port: 80, targetPort: 'http' }]);
  });

  it('a map keeps its empty values', () => {
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: {}, data: { a: '', b: 'x' }, binaryData: { c: '' } };
    expect(decodeProtobuf(encodeProtobuf(map))).toEqual(map);
  });

  it('a key that names the prototype is a key', () => {
    const data = JSON.parse('{"__proto__":"x","constructor":"y"}');
    const read: any = decodeProtobuf(encodeProtobuf({ apiVersion: 'v1', kind: 'ConfigMap', data } as never));
    expect(JSON.stringify(read.data)).toBe('{"__proto__":"x","constructor":"y"}');
    expect(Object.getPrototypeOf(read.data)).toBe(Object.prototype);
  });
});

describe('what is not as it should be is a BadRequest that says where', () => {
  const configMap = (write: (writer: WireWriter) => void): Buffer => body('v1', 'ConfigMap', write);

  it.each<[string, Buffer, RegExp]>([
    ['no magic', Buffer.from('{}'), /does not begin with "k8s\\0"/],
    ['nothing behind the magic', Buffer.from('k8s\0'), /names no apiVersion and kind/],
    ['a length beyond the end', Buffer.from('k8s\0\x0a\x7f', 'latin1'), /127 bytes, with 0 bytes left \(byte 5\)/],
    ['an endless number', Buffer.concat([Buffer.from('k8s\0('), Buffer.alloc(20, 0xff)]), /longer than ten bytes/],
    ['the field 0', configMap(writer => writer.tag(0, 2)), /the number 0/],
    ['a wire type that is none', configMap(writer => writer.tag(100, 7)), /wire type 7/],
    [
      'a wrong wire type',
      configMap(writer => writer.tag(2, 0)),
      /v1\.ConfigMap\.data has the wire type 0 instead of 2/,
    ],
    [
      'a text that is not UTF-8',
      configMap(writer => {
        writer.tag(2, 2);
        writer.message(() => {
          writer.tag(1, 2);
          writer.bytes(Buffer.from([0xc3, 0x28]));
        });
      }),
      /not UTF-8/,
    ],
    [
      'free JSON that is none',
      body('apps/v1', 'ControllerRevision', writer => {
        writer.tag(2, 2);
        writer.message(() => {
          writer.tag(1, 2);
          writer.string('{"a":');
        });
      }),
      /free JSON holds something else/,
    ],
    [
      'a year that has no text',
      configMap(writer => {
        writer.tag(1, 2);
        writer.message(() => {
          writer.tag(8, 2);
          writer.message(() => {
            writer.tag(1, 0);
            writer.int64(2n ** 62n);
          });
        });
      }),
      /outside of the years/,
    ],
  ])('%s', (_, bytes, message) => {
    const error = refusal(bytes);
    expect(error.message).toMatch(message);
    expect(error.code).toBe(400);
  });

  it('a truncated body, wherever it is cut', () => {
    const whole = bytesOf('core.v1.Service');
    const read: number[] = [];
    for (let length = 0; length < whole.length - 4; length++) {
      try {
        decodeProtobuf(whole.subarray(0, length));
        read.push(length);
      } catch (error) {
        expect((error as StatusError).code).toBe(400);
      }
    }
    // Cut behind the envelope's type it is a whole body of an empty object; the last four bytes are its empty encoding and content type.
    expect(read).toHaveLength(1);
  });

  it('schemas nested without end', () => {
    const nest = (writer: WireWriter, levels: number): void => {
      if (levels === 0) return;
      writer.tag(28, 2);
      writer.message(() => nest(writer, levels - 1));
    };
    const crd = (levels: number): Buffer =>
      body('apiextensions.k8s.io/v1', 'CustomResourceDefinition', writer => {
        writer.tag(2, 2);
        writer.message(() => {
          writer.tag(7, 2);
          writer.message(() => {
            writer.tag(4, 2);
            writer.message(() => {
              writer.tag(1, 2);
              writer.message(() => nest(writer, levels));
            });
          });
        });
      });
    expect(() => decodeProtobuf(crd(100))).not.toThrow();
    expect(refusal(crd(2_000)).message).toMatch(/nested more than 300 levels/);
  });

  it('kinds without such a form are refused as a media type', () => {
    for (const [apiVersion, kind] of [
      ['example.com/v1', 'Widget'],
      ['v1', 'constructor'],
    ]) {
      const error = refusal(body(apiVersion!, kind!, () => {}));
      expect(error.code).toBe(415);
      expect(error.message).toContain(
        `there is no protobuf form of ${kind} in ${apiVersion}; send it as application/json`,
      );
    }
    expect(neverSent.every(sample => [400, 415].includes(refusal(bytesOf(sample)).code))).toBe(true);
  });
});

it('fields that a newer client knows are passed over, and split ones are merged', () => {
  const read = decodeProtobuf(
    body('v1', 'ConfigMap', writer => {
      for (const name of ['first', 'second']) {
        writer.tag(1, 2);
        writer.message(() => {
          writer.tag(name === 'first' ? 3 : 1, 2);
          writer.string(name);
        });
      }
      writer.tag(900, 2);
      writer.bytes(Buffer.from('whatever'));
      writer.tag(901, 0);
      writer.int64(-1);
      writer.tag(902, 3);
      writer.tag(1, 0);
      writer.uint32(7);
      writer.tag(902, 4);
    }),
  );
  expect(read).toEqual({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'first', name: 'second' } });
});

it('an envelope that names nothing is of the kind expected; options are spoken in every version', () => {
  const bare = Buffer.concat([Buffer.from('k8s\0'), Buffer.from([0x12, 0])]);
  expect(decodeProtobuf(bare, { apiVersion: 'v1', kind: 'ConfigMap' })).toEqual({
    apiVersion: 'v1',
    kind: 'ConfigMap',
  });
  const options = { apiVersion: 'apps/v1', kind: 'DeleteOptions', gracePeriodSeconds: 0, dryRun: ['All'] };
  expect(decodeProtobuf(encodeProtobuf(options))).toEqual(options);
});

describe('text forms', () => {
  it.each<[bigint, string]>([
    [0n, '0s'],
    [1n, '1ns'],
    [1_100n, '1.1µs'],
    [2_200_000n, '2.2ms'],
    [60_000_000_000n, '1m0s'],
    [3_600_000_000_000n, '1h0m0s'],
    [5_400_500_000_000n, '1h30m0.5s'],
    [-1_500_000_000n, '-1.5s'],
    [9_223_372_036_854_775_807n, '2562047h47m16.854775807s'],
  ])('%s ns is %s', (nanoseconds, text) => {
    expect(durationText(nanoseconds)).toBe(text);
    expect(durationOf(text)).toBe(nanoseconds);
  });

  it('times, also before 1970', () => {
    expect(timeText(-1, 0, false)).toBe('1969-12-31T23:59:59Z');
    expect(timeText(1, 2_003, true)).toBe('1970-01-01T00:00:01.000002Z');
    expect(timeOf('1969-12-31T23:59:59Z')).toEqual({ seconds: -1, nanos: 0 });
    expect(timeText(253_402_300_800, 0, false)).toBeUndefined();
  });
});
