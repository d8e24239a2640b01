import { describe, expect, test } from 'vitest';
import { Binding, ConfigMap, Pod } from './generated/kinds.js';
import { ageOf, humanDuration } from './human-duration.js';
import { cellTexts, type PrintTableOptions, printTable } from './print-table.js';
import { tableOf } from './table.js';

const now = Date.parse('2026-01-02T00:00:00Z');
const map = (name: string, more: object = {}) =>
  ConfigMap.decode({
    metadata: { name, namespace: 'default', creationTimestamp: '2026-01-01T23:59:55Z', ...more },
    data: { a: '1' },
  }).object;

describe('tableOf', () => {
  test('definitions, cells, and metadata of each object', () => {
    expect(tableOf(ConfigMap, [map('x')], { now, resourceVersion: '7', continue: 'c', remainingItemCount: 3 })).toEqual(
      {
        kind: 'Table',
        apiVersion: 'meta.k8s.io/v1',
        metadata: { resourceVersion: '7', continue: 'c', remainingItemCount: 3 },
        columnDefinitions: [
          { name: 'Name', type: 'string', format: 'name', description: expect.any(String), priority: 0 },
          { name: 'Data', type: 'string', format: '', description: expect.any(String), priority: 0 },
          { name: 'Age', type: 'string', format: '', description: expect.any(String), priority: 0 },
        ],
        rows: [
          {
            cells: ['x', 1, '5s'],
            object: { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: map('x').metadata },
          },
        ],
      },
    );
  });

  test('what a row carries', () => {
    const object = map('x');
    expect(tableOf(ConfigMap, [object], { now, includeObject: 'Object' }).rows[0]!.object).toBe(object);
    expect(tableOf(ConfigMap, [object], { now, includeObject: 'None' }).rows[0]!.object).toBeNull();
    expect(tableOf(ConfigMap, [object], { now, apiVersion: 'meta.k8s.io/v1beta1' }).rows[0]!.object).toMatchObject({
      apiVersion: 'meta.k8s.io/v1beta1',
    });
  });

  test('nothing is a table without rows', () => {
    expect(tableOf(ConfigMap, [], { now })).toMatchObject({ rows: [], metadata: {} });
    expect(tableOf(ConfigMap, [], { now, columnDefinitions: false }).columnDefinitions).toBeNull();
  });

  test('an ended pod marks its row, others have no marks', () => {
    const pod = (phase: string) => Pod.decode({ metadata: { name: phase }, status: { phase } }).object;
    const { rows } = tableOf(Pod, [pod('Running'), pod('Failed')], { now });
    expect(rows[0]).not.toHaveProperty('conditions');
    expect(rows[1]!.conditions).toMatchObject([{ type: 'Completed', reason: 'Failed' }]);
  });

  test('a kind without columns shows name and time', () => {
    const binding = Binding.decode({ metadata: { name: 'b', creationTimestamp: '2026-01-01T00:00:00Z' } }).object;
    expect(tableOf(Binding, [binding], { now }).rows[0]!.cells).toEqual(['b', '2026-01-01T00:00:00Z']);
  });
});

describe('printTable', () => {
  const print = (names: string[], options: Partial<PrintTableOptions> = {}): string => {
    const table = tableOf(
      ConfigMap,
      names.map(name => map(name)),
      { now },
    );
    return printTable(table, table.columnDefinitions!, { now, ...options });
  };

  test('as kubectl lays it out: three spaces, at least six, the last column bare', () => {
    expect(print(['a', 'a-long-name'])).toBe(
      'NAME          DATA   AGE\n' + //
        'a             1      5s\n' +
        'a-long-name   1      5s\n',
    );
  });

  test('without headers, with namespaces, kinds and labels', () => {
    expect(print(['a'], { headers: false })).toBe('a     1     5s\n');
    expect(print(['a'], { namespaces: true })).toBe('NAMESPACE   NAME   DATA   AGE\ndefault     a      1      5s\n');
    expect(print(['a'], { kindPrefix: 'configmap' })).toBe('NAME          DATA   AGE\nconfigmap/a   1      5s\n');
    expect(print(['a'], { showLabels: true })).toBe('NAME   DATA   AGE   LABELS\na      1      5s    <none>\n');
    const table = tableOf(ConfigMap, [map('a', { labels: { y: '2', x: '1' } })], { now });
    expect(printTable(table, table.columnDefinitions!, { now, headers: false, showLabels: true })).toBe(
      'a     1     5s    x=1,y=2\n',
    );
  });

  test('no rows print nothing', () => expect(print([])).toBe(''));

  test('columns of priority 1 only when wide; dates as ages; breaks cut', () => {
    const columns = [
      { name: 'Name', type: 'string', format: 'name', description: '', priority: 0 },
      { name: 'Text', type: 'string', format: '', description: '', priority: 0 },
      { name: 'Since', type: 'date', format: '', description: '', priority: 0 },
      { name: 'More', type: 'string', format: '', description: '', priority: 1 },
    ];
    const table = {
      kind: 'Table' as const,
      apiVersion: 'meta.k8s.io/v1' as const,
      metadata: {},
      columnDefinitions: columns,
      rows: [{ cells: ['é', 'one\ntwo', '2026-01-01T23:59:00Z', null], object: null }],
    };
    expect(printTable(table, columns, { now })).toBe('NAME   TEXT     SINCE\né      one...   60s\n');
    expect(cellTexts(table, columns, { now, wide: true })).toEqual([
      ['NAME', 'TEXT', 'SINCE', 'MORE'],
      ['é', 'one...', '60s', '<none>'],
    ]);
  });

  test('rows that come later line up', () => {
    const widths: number[] = [];
    expect(print(['a-name'], { widths })).toBe('NAME     DATA   AGE\na-name   1      5s\n');
    expect(print(['b'], { widths, headers: false })).toBe('b        1      5s\n');
  });
});

describe('humanDuration', () => {
  const s = 1000;
  const m = 60 * s;
  const h = 60 * m;
  const d = 24 * h;
  const y = 365 * d;
  test.each<[number, string]>([
    [0, '0s'],
    [-999, '0s'],
    [-1999, '0s'],
    [-2000, '<invalid>'],
    [119 * s, '119s'],
    [2 * m, '2m'],
    [2 * m + s, '2m1s'],
    [10 * m - s, '9m59s'],
    [10 * m + 30 * s, '10m'],
    [3 * h - s, '179m'],
    [3 * h, '3h'],
    [3 * h + m, '3h1m'],
    [8 * h, '8h'],
    [8 * h + 59 * m, '8h'],
    [48 * h - s, '47h'],
    [48 * h, '2d'],
    [49 * h, '2d1h'],
    [8 * d, '8d'],
    [2 * y - s, '729d'],
    [2 * y, '2y'],
    [2 * y + d, '2y1d'],
    [8 * y - s, '7y364d'],
    [8 * y + 3 * d, '8y'],
  ])('%d ms is %s', (ms, text) => expect(humanDuration(ms)).toBe(text));
  test('of a time', () => {
    expect(ageOf('2026-01-01T23:59:55Z', now)).toBe('5s');
    expect(ageOf(undefined, now)).toBe('<unknown>');
    expect(ageOf('never', now)).toBe('<unknown>');
  });
});
