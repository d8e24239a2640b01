import fc from 'fast-check';
import { expect, it } from 'vitest';
import { skipJsonValue, visitElements, visitMembers } from './json-bytes.js';
import { decodeList } from './list-answer.js';

const json = fc
  .jsonValue({ depthSize: 'medium', stringUnit: 'binary' })
  .map(value => JSON.parse(JSON.stringify(value)));
const layouts = fc.constantFrom(0, 2, '\t');

it('finds the end of any value, whatever stands after it', () => {
  fc.assert(
    fc.property(json, layouts, fc.constantFrom('', ' ', ',"x"', '}', '\n]'), (value, layout, after) => {
      const text = JSON.stringify(value, null, layout);
      const bytes = Buffer.from(text + after);
      expect(skipJsonValue(bytes, 0)).toBe(Buffer.byteLength(text));
    }),
    { numRuns: 2_000 },
  );
});

it('finds the members of an object and the elements of an array as JSON.parse does', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), json),
      fc.array(json),
      layouts,
      (object, array, layout) => {
        const bytes = Buffer.from(JSON.stringify(object, null, layout));
        const members: [string, unknown][] = [];
        const ended = visitMembers(bytes, 0, (nameStart, nameEnd, value) => {
          const name = JSON.parse(bytes.toString('utf8', nameStart - 1, nameEnd + 1));
          members.push([name, JSON.parse(bytes.toString('utf8', value, skipJsonValue(bytes, value)))]);
          return false;
        });
        expect(ended).toBe(false);
        const parsed = JSON.parse(bytes.toString());
        expect(members).toEqual(Object.keys(JSON.parse(JSON.stringify(object))).map(name => [name, parsed[name]]));
        const list = Buffer.from(JSON.stringify(array, null, layout));
        const elements: unknown[] = [];
        visitElements(list, 0, (start, end) => elements.push(JSON.parse(list.toString('utf8', start, end))));
        expect(elements).toEqual(JSON.parse(list.toString()));
      },
    ),
    { numRuns: 1_000 },
  );
});

it('never reads on after the end: a cut text is a SyntaxError', () => {
  fc.assert(
    fc.property(json, fc.nat(), (value, at) => {
      const bytes = Buffer.from(JSON.stringify({ value }));
      const part = bytes.subarray(0, at % bytes.length);
      expect(() => visitMembers(part, 0, () => false)).toThrow(SyntaxError);
    }),
    { numRuns: 1_000 },
  );
});

it('a list is what JSON.parse makes of it, item by item', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(json), json, layouts, async (items, remark, layout) => {
      const list = { kind: 'XList', apiVersion: 'v1', metadata: { resourceVersion: '7', remark }, items };
      const bytes = Buffer.from(JSON.stringify(list, null, layout));
      const decode = (part: Buffer, start: number, end: number) => JSON.parse(part.toString('utf8', start, end));
      expect(await decodeList(bytes, decode)).toEqual(JSON.parse(bytes.toString()));
    }),
    { numRuns: 300 },
  );
});
