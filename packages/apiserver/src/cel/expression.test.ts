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
    expect(() => run(text, { l: thousand }, budget)).toThrow(/cost budget/);
    expect(budget.spent).toBe(true);
  });

  it('is not escaped through an operator that absorbs errors', () => {
    const text = 'object.l.all(a, object.l.all(b, object.l.all(c, a + b + c >= 0))) || true';
    expect(() => run(text, { l: thousand })).toThrow(/cost budget/);
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

  it('does not let a pattern take forever', () => {
    const started = performance.now();
    expect(run("object.t.matches('^(a+)+$')", { t: `${'a'.repeat(20_000)}b` })).toBe(false);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
