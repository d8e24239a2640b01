import { describe, expect, it } from 'vitest';
import { decodeValue, encodeValue, encodeValueText, isValueFormatError, valueHeaderBytes } from './value.js';

const json = '{"kind":"Pod","metadata":{"name":"ü"}}';

const withByte = (value: Buffer, at: number, byte: number): Buffer => {
  value[at] = byte;
  return value;
};

describe('a stored value', () => {
  it('is magic, version, flags and the JSON, the same from bytes and from text', () => {
    const value = encodeValue(Buffer.from(json));
    expect(value.toString('hex')).toBe(`6f6b76000100${Buffer.from(json).toString('hex')}`);
    expect(encodeValueText(json)).toEqual(value);
    expect(decodeValue(value).toString()).toBe(json);
    expect(decodeValue(encodeValue(Buffer.alloc(0)))).toHaveLength(0);
  });

  it('is decoded without a copy, also from the middle of a larger buffer', () => {
    const around = Buffer.concat([Buffer.from('xx'), encodeValueText(json), Buffer.from('yy')]);
    const value = around.subarray(2, around.length - 2);
    const decoded = decodeValue(value);
    expect(decoded.toString()).toBe(json);
    expect(decoded.buffer).toBe(around.buffer);
    expect(decodeValue(new Uint8Array(value)).toString()).toBe(json);
  });

  it.each<[string, (value: Buffer) => Buffer, RegExp]>([
    ['of something else', () => Buffer.from(json), /not written by orbitkit/],
    ['cut off in its header', value => value.subarray(0, 3), /not written by orbitkit/],
    ['cut off before its flags', value => value.subarray(0, valueHeaderBytes - 1), /ends within its header/],
    ['of a later version', value => withByte(value, 4, 2), /format version 2, this program reads version 1/],
    ['that is encrypted', value => withByte(value, 5, 1), /encrypted, and no key/],
    ['with an unknown flag', value => withByte(value, 5, 0x82), /unknown flags 0x82/],
  ])('%s is refused', (_, change, message) => {
    let error: unknown;
    try {
      decodeValue(change(encodeValueText(json)));
    } catch (thrown) {
      error = thrown;
    }
    expect(isValueFormatError(error)).toBe(true);
    expect((error as Error).message).toMatch(message);
  });
});
