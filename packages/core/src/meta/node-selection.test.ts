import { describe, expect, it } from 'vitest';
import { matchesNodeTerm, selectsNode, tolerates } from './node-selection.js';

describe('tolerates', () => {
  const taint = { key: 'a', value: 'v', effect: 'NoExecute' } as const;
  it.each([
    [{ key: 'a', operator: 'Exists', effect: 'NoExecute' }, true],
    [{ key: 'a', operator: 'Exists' }, true],
    [{ operator: 'Exists' }, true],
    [{ key: 'a', value: 'v' }, true],
    [{ key: 'a', operator: 'Equal', value: 'w' }, false],
    [{ key: 'a' }, false],
    [{ key: 'b', operator: 'Exists' }, false],
    [{ key: 'a', operator: 'Exists', effect: 'NoSchedule' }, false],
    [{}, false],
  ] as const)('%j: %s', (toleration, expected) => {
    expect(tolerates(toleration, taint)).toBe(expected);
  });
});

describe('node terms', () => {
  const node = { metadata: { name: 'n1', labels: { zone: 'a', cores: '8' } } };
  const one = (key: string, operator: string, ...values: string[]) =>
    ({ matchExpressions: [{ key, operator, ...(values.length > 0 ? { values } : {}) }] }) as never;
  it.each([
    ['in', one('zone', 'In', 'a', 'b'), true],
    ['not in', one('zone', 'NotIn', 'a'), false],
    ['not in, absent', one('rack', 'NotIn', 'a'), true],
    ['exists', one('zone', 'Exists'), true],
    ['does not exist', one('zone', 'DoesNotExist'), false],
    ['greater', one('cores', 'Gt', '7'), true],
    ['less', one('cores', 'Lt', '8'), false],
    ['no number', one('zone', 'Gt', '1'), false],
    ['its name', { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n1'] }] } as never, true],
    ['empty', {}, false],
  ])('%s', (_title, term, expected) => {
    expect(matchesNodeTerm(term, node)).toBe(expected);
  });

  it('the selector and one of the required terms', () => {
    const required = { nodeSelectorTerms: [one('zone', 'In', 'x'), one('zone', 'In', 'a')] };
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } };
    expect(selectsNode({ affinity }, node)).toBe(true);
    expect(selectsNode({ affinity, nodeSelector: { zone: 'b' } }, node)).toBe(false);
    expect(selectsNode({}, node)).toBe(true);
  });
});
