import { describe, expect, it } from 'vitest';
import { parseFieldSelector } from './field-selector.js';
import {
  everyLabel,
  formatLabelSelector,
  labelSelectorOf,
  labelSet,
  noLabel,
  parseLabelSelector,
} from './label-selector.js';

describe('label selectors as text', () => {
  const web = { app: 'web', tier: 'front', release: '7' };

  it('match as their operators say', () => {
    const matching = [
      '',
      'app=web',
      'app==web',
      'app!=db',
      'app in (web,db)',
      'app notin (db)',
      'app',
      '!legacy',
      'legacy!=x',
      'legacy notin (x)',
      'release>6',
      'release<8',
      'app=web,tier in (front),!legacy',
      ' app = web , tier ',
      'app notin(db)',
      'in',
      'notin in (x)',
    ];
    const other = [
      'app=db',
      'app!=web',
      'app in (db)',
      'app notin (web,db)',
      '!app',
      'legacy',
      'legacy=',
      'release>7',
      'release<7',
      'tier>1',
      'legacy>1',
      'app=web,tier=back',
    ];
    const labels = { ...web, in: 'x', notin: 'x' };
    for (const text of matching) expect([text, parseLabelSelector(text).matches(labels)]).toEqual([text, true]);
    for (const text of other) expect([text, parseLabelSelector(text).matches(labels)]).toEqual([text, false]);
    expect(parseLabelSelector('a=').matches({ a: '' })).toBe(true);
    expect(parseLabelSelector('a in ()').matches({ a: '' })).toBe(true);
    expect(parseLabelSelector('a in (x,)').matches({ a: '' })).toBe(true);
    expect(parseLabelSelector('!toString').matches({})).toBe(true);
    expect(parseLabelSelector('app').matches(undefined)).toBe(false);
  });

  it('print in normal form', () => {
    const form = (text: string) => parseLabelSelector(text).toString();
    expect(form(' !x , app in ( b, a,b ),tier!=front')).toBe('app in (a,b),tier!=front,!x');
    expect(form('b==1,a')).toBe('a,b==1');
    expect(form('')).toBe('');
    expect(form('example.com/a-b_c=V.1')).toBe('example.com/a-b_c=V.1');
  });

  it('say what is wrong', () => {
    const refused: Record<string, string> = {
      'a,': 'found the end, expected: identifier after',
      ',a': "found ','",
      'a b': "found 'b', expected: in, notin",
      'a in': "found the end, expected: '('",
      'a in (b': "expected: ',' or ')'",
      'a=b=c': "found '='",
      'a==': '',
      '!': 'found the end, expected: identifier',
      'a>x': 'the value must be an integer',
      '-a=b': 'key: Invalid value: "-a"',
      'a=b/c': 'Invalid value: "b/c": a valid label must be',
      'A B/x in (y)': "found 'B/x'",
      '/a': 'prefix part must be non-empty',
    };
    for (const [text, message] of Object.entries(refused)) {
      if (message === '') expect(() => parseLabelSelector(text)).not.toThrow();
      else {
        expect(() => parseLabelSelector(text), text).toThrow(message);
        expect(() => parseLabelSelector(text), text).toThrow(
          expect.objectContaining({ code: 400, message: expect.stringMatching(/^unable to parse requirement: /) }),
        );
      }
    }
  });
});

describe('label selectors as objects', () => {
  it('nothing selects nothing, empty selects everything', () => {
    expect(labelSelectorOf(undefined).matches({ a: 'b' })).toBe(false);
    expect(labelSelectorOf({}).matches({})).toBe(true);
    expect(labelSelectorOf({}).everything).toBe(true);
    expect([everyLabel.matches({}), noLabel.matches({}), noLabel.everything]).toEqual([true, false, false]);
  });

  it('match labels and expressions together', () => {
    const selector = {
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['b', 'a'] },
        { key: 'env', operator: 'NotIn', values: ['prod'] },
        { key: 'x', operator: 'Exists' },
        { key: 'y', operator: 'DoesNotExist' },
      ],
    };
    const compiled = labelSelectorOf(selector as never);
    expect(compiled.matches({ app: 'web', tier: 'a', x: '1' })).toBe(true);
    expect(compiled.matches({ app: 'web', tier: 'a', x: '1', env: 'prod' })).toBe(false);
    expect(compiled.matches({ app: 'web', tier: 'a', x: '1', y: '' })).toBe(false);
    expect(formatLabelSelector(selector as never)).toBe('app=web,env notin (prod),tier in (a,b),x,!y');
    expect(labelSet({ a: 'b' }).matches({ a: 'b', c: 'd' })).toBe(true);
  });

  it('refuse wrong operators and values', () => {
    const of = (operator: string, values?: string[]) => () =>
      labelSelectorOf({ matchExpressions: [{ key: 'a', operator, ...(values ? { values } : {}) }] } as never);
    expect(of('Near', ['x'])).toThrow('"Near" is not a valid label selector operator');
    expect(of('In')).toThrow("values set can't be empty");
    expect(of('Exists', ['x'])).toThrow('values set must be empty');
  });
});

describe('field selectors', () => {
  const fields: Record<string, string> = { 'metadata.name': 'web', 'status.phase': 'Running', odd: 'a,b=c\\d' };
  const matches = (text: string) => parseFieldSelector(text).matches(field => fields[field]);

  it('match all of their terms', () => {
    expect(matches('metadata.name=web,status.phase!=Failed')).toBe(true);
    expect(matches('metadata.name==web')).toBe(true);
    expect(matches('metadata.name=web,status.phase=Failed')).toBe(false);
    expect(matches('spec.nodeName=')).toBe(true);
    expect(matches('spec.nodeName!=')).toBe(false);
    expect(matches('')).toBe(true);
    expect(matches(String.raw`odd=a\,b\=c\\d`)).toBe(true);
  });

  it('tell which value a field must have, and print themselves', () => {
    const selector = parseFieldSelector(String.raw`metadata.name=web,odd==a\,b,x!=y`);
    expect(selector.exactly('metadata.name')).toBe('web');
    expect(selector.exactly('x')).toBeUndefined();
    expect(selector.toString()).toBe(String.raw`metadata.name=web,odd=a\,b,x!=y`);
    expect(parseFieldSelector('').everything).toBe(true);
  });

  it('say what was not understood', () => {
    expect(() => parseFieldSelector('metadata.name')).toThrow(
      'invalid field selector "metadata.name": "metadata.name" is not field=value',
    );
    expect(() => parseFieldSelector('=x')).toThrow('names no field');
    expect(() => parseFieldSelector('a=b=c')).toThrow('unescaped "="');
    expect(() => parseFieldSelector('a=b\\n')).toThrow('invalid escape sequence "\\n"');
    expect(() => parseFieldSelector('a')).toThrow(expect.objectContaining({ code: 400 }));
  });
});
