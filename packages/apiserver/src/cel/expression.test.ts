import { describe, expect, it } from 'vitest';
import { Budget } from './budget.js';
import { celEnvironment } from './environment.js';
import { CompileError, compile, EvaluationError } from './expression.js';
import { celOf } from './values.js';

const run = (text: string, object: unknown = {}, budget = new Budget()) => {
  const environment = celEnvironment().registerVariable('object', 'dyn');
  const expression = compile(environment, text, ['bool', 'string', 'int', 'double', 'list<string>', 'list<int>']);
  return expression.evaluate({ object: celOf(object) }, budget);
};

describe('expressions', () => {
  it.each([
    ['object.spec.replicas <= 5', { spec: { replicas: 3 } }, true],
    ['has(object.spec) && !has(object.status)', { spec: {} }, true],
    ["object.items.all(i, i.startsWith('a'))", { items: ['a', 'ab'] }, true],
    ["object.items.exists(i, i == 'b')", { items: ['a'] }, false],
    ["object.items.filter(i, i != 'a').map(i, i + '!')", { items: ['a', 'b'] }, ['b!']],
    ["object.name.matches('^[a-z]+$')", { name: 'abc' }, true],
    ["object.name.find('[0-9]+')", { name: 'a12b' }, '12'],
    ["'a-b-c'.replace('-', '+', 1)", {}, 'a+b-c'],
    ["'%s has %d of %.1f'.format(['x', 3, 2.5])", {}, 'x has 3 of 2.5'],
    ['[3, 1, 2].sum() == 6 && [1, 2].isSorted() && ![2, 1].isSorted()', {}, true],
    ['[3, 1, 2].max() - [3, 1, 2].min()', {}, 2n],
    ["sets.contains(['a', 'b'], ['a'])", {}, true],
    ["quantity('1Gi').isGreaterThan(quantity('500Mi'))", {}, true],
    ["quantity('1500m').add(quantity('500m')).asInteger()", {}, 2n],
    ["cidr('10.0.0.0/8').containsIP('10.1.2.3') && ip('::1').isLoopback()", {}, true],
    ["url('https://a.example:8443/x?y=1').getPort()", {}, '8443'],
    ["duration('1h') > duration('5m')", {}, true],
    ["timestamp('2026-01-02T00:00:00Z').getFullYear()", {}, 2026n],
    ['object.?spec.?replicas.orValue(7)', {}, 7n],
    ["object.a == 1 || object.missing == 'x'", { a: 1 }, true],
    ['object.a.b == {"x": 1}', { a: { b: { x: 1 } } }, true],
    ["object['constructor'] == 1", { constructor: 1 }, true],
    ['object.l.all(i, v, v == i * 2)', { l: [0, 2, 4] }, true],
    ['object.l.all(i, v, v == i)', { l: [0, 2] }, false],
    ["object.m.exists(k, v, k == 'b' && v == 2)", { m: { a: 1, b: 2 } }, true],
    ['object.m.existsOne(k, v, v > 1)', { m: { a: 1, b: 2 } }, true],
    ['[1, 2, 2].existsOne(x, x == 2)', {}, false],
    ['[5, 6].transformList(i, v, i + v)', {}, [5n, 7n]],
    ['[5, 6].transformList(i, v, v > 5, v)', {}, [6n]],
    ["object.m.transformMap(k, v, k + string(v)) == {'a': 'a1', 'b': 'b2'}", { m: { a: 1, b: 2 } }, true],
    ["object.m.transformMap(k, v, v > 1, v) == {'b': 2}", { m: { a: 1, b: 2 } }, true],
    ["object.m.transformMapEntry(k, v, {v: k}) == {1: 'a', 2: 'b'}", { m: { a: 1, b: 2 } }, true],
    ["object.m.transformMapEntry(k, v, k != 'a', {k: v}) == {'b': 2}", { m: { a: 1, b: 2 } }, true],
    ['object.l.all(i, v, object.l.exists(j, w, w == v && i == j))', { l: [1, 2] }, true],
    ['[1, 2].exists(i, v, 1 / i == 1)', {}, true],
    ['object.?a.optMap(x, x + 1).orValue(0)', { a: 3 }, 4n],
    ['object.?b.optMap(x, x + 1).orValue(0)', { a: 3 }, 0n],
    ['object.?a.optFlatMap(x, x.?b).orValue(0)', { a: { b: 9 } }, 9n],
    ['object.l.last().orValue(0)', { l: [1, 5] }, 5n],
    ["semver('1.10.0').isGreaterThan(semver('1.9.9')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))", {}, true],
    ["semver('v1.2', true).patch() == 0 && !isSemver('v1.2') && isSemver('v1.2', true)", {}, true],
    ["format.named('dns1123Label').value().validate('a-b').hasValue()", {}, false],
    ["format.dns1123Label().validate('A_b').value().size()", {}, 1n],
    ["format.named('nonsense').hasValue()", {}, false],
    ["format.uuid().validate('x').hasValue() && !format.date().validate('2026-01-02').hasValue()", {}, true],
    [
      "cidr('10.1.0.0/16').containsCIDR('10.1.2.0/24') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))",
      {},
      true,
    ],
    ["string(cidr('10.1.2.3/12').masked())", {}, '10.0.0.0/12'],
    ["string(cidr('2001:db8:abcd::1/40').masked())", {}, '2001:db8:ab00::/40'],
    ["ip('::FFFF') == ip('::ffff') && !ip.isCanonical('::FFFF') && ip.isCanonical('::ffff')", {}, true],
    [
      "ip('169.254.1.1').isLinkLocalUnicast() && ip('8.8.8.8').isGlobalUnicast() && ip('ff02::1').isLinkLocalMulticast()",
      {},
      true,
    ],
    ["strings.quote('a')", {}, '"a"'],
  ])('%s', (text, object, expected) => {
    expect(run(text, object)).toEqual(expected);
  });

  it.each([
    ['object.', /compilation failed: ERROR: <input>:1:8: /],
    ['nobody', /<input>:1:1: unknown variable: nobody\n \| nobody\n \| \^/],
    ["1 + 'a'", /no such overload: int \+ string/],
    ["'a'.shout()", /shout/],
    ['null', /must evaluate to/],
  ])('refuses %s', (text, problem) => {
    expect(() => run(text)).toThrow(CompileError);
    expect(() => run(text)).toThrow(problem);
  });

  it.each([
    ['object.missing', /no such key: missing/],
    ['object.a / 0', /division by zero/],
    ['[1, 2].all(i, v, 1 / i == 1 || v == 7)', /division by zero/],
    ["{'a': 1, 'b': 1}.transformMapEntry(k, v, {v: k}) == {}", /key 1 already exists/],
    ["'a'.matches('(')", /error parsing regexp|missing closing/],
    ['object.list[7] == 1', /index/],
  ])('fails on %s', (text, problem) => {
    expect(() => run(text, { a: 1, list: [1] })).toThrow(EvaluationError);
    expect(() => run(text, { a: 1, list: [1] })).toThrow(problem);
  });

  it('names the variables it speaks of', () => {
    const environment = celEnvironment().registerVariable('self', 'dyn').registerVariable('oldSelf', 'dyn');
    expect(compile(environment, 'self.list.all(x, x == oldSelf.y)', ['bool']).variables).toContain('oldSelf');
    expect(compile(environment, 'self.oldSelf == 1', ['bool']).variables).not.toContain('oldSelf');
  });
});

describe('the budget', () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => i);

  it('ends what takes too many steps', () => {
    const text = 'object.l.all(a, object.l.all(b, object.l.all(c, a + b + c >= 0)))';
    const budget = new Budget();
    expect(() => run(text, { l: thousand }, budget)).toThrow(/actual cost limit exceeded/);
    expect(budget.spent).toBe(true);
  });

  it('is not escaped through an operator that absorbs errors', () => {
    const text = 'object.l.all(a, object.l.all(b, object.l.all(c, a + b + c >= 0))) || true';
    expect(() => run(text, { l: thousand })).toThrow(/actual cost limit exceeded/);
  });

  it('counts what is made', () => {
    const doubling = Array.from({ length: 30 }, (_, i) => `cel.bind(v${i + 1}, v${i} + v${i}, `).join('');
    const text = `cel.bind(v0, 'xxxxxxxxxxxxxxxx', ${doubling}v30.size()${')'.repeat(31)}`;
    expect(() => run(text)).toThrow(EvaluationError);
  });

  it('is shared by the rules of one object', () => {
    const budget = new Budget(100);
    run('object.l.all(a, a >= 0)', { l: [1, 2, 3] }, budget);
    expect(budget.left).toBeLessThan(100);
    expect(() => run('object.l.all(a, a >= 0)', { l: thousand }, budget)).toThrow(/cost budget/);
  });

  it('pays for the text that is looked at, and for patterns', () => {
    const text = 'a'.repeat(100_000);
    const spent = (expression: string): number => {
      const budget = new Budget();
      run(expression, { t: text }, budget);
      return 10_000_000 - budget.left;
    };
    expect(spent("object.t == 'b'")).toBeGreaterThan(9_000);
    expect(spent("object.t.matches('^a{1,9}$')")).toBeGreaterThan(20_000);
    expect(spent('object.t.size() == 3')).toBeLessThan(100);
  });

  it('is not escaped by macros with two variables', () => {
    const text = 'object.l.all(i, a, object.l.all(j, b, object.l.all(k, c, a + b + c >= 0)))';
    expect(() => run(text, { l: thousand })).toThrow(/actual cost limit exceeded/);
  });

  it('does not let a pattern take forever', () => {
    const started = performance.now();
    expect(run("object.t.matches('^(a+)+$')", { t: `${'a'.repeat(20_000)}b` })).toBe(false);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
