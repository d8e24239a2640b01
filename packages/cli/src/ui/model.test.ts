import { describe, expect, it } from 'vitest';
import { initialModel, type Key, type Model, onKey, type Row, visibleRows, withRows, withText } from './model.js';

const row = (name: string, status = 'Running'): Row => ({
  uid: `uid-${name}`,
  name,
  namespace: 'default',
  cells: [name, status],
});
const rows = ['api', 'db', 'web-1', 'web-2'].map(name => row(name));
const listed = withRows(initialModel('pods', 'default'), ['NAME', 'STATUS'], rows);
const text = (character: string): Key => ({ name: 'text', text: character, ctrl: false });
const named = (name: Key['name']): Key => ({ name, text: '', ctrl: false });

function press(model: Model, ...keys: (string | Key)[]) {
  let effects: ReturnType<typeof onKey>['effects'] = [];
  for (const key of keys) {
    for (const each of typeof key === 'string' ? [...key].map(text) : [key]) {
      const next = onKey(model, each, 10);
      model = next.model;
      effects = next.effects;
    }
  }
  return { model, effects };
}

describe('the model of the terminal UI', () => {
  it('moves the selection within the rows', () => {
    expect(press(listed, 'jjj').model.selected).toBe(3);
    expect(press(listed, 'jjjjjj').model.selected).toBe(3);
    expect(press(listed, 'G', 'k').model.selected).toBe(2);
    expect(press(listed, named('up')).model.selected).toBe(0);
  });

  it('keeps the selection on its object when rows come and go', () => {
    const on = press(listed, 'jj').model;
    expect(withRows(on, on.headers, [row('aaa'), ...rows]).selected).toBe(3);
    expect(withRows(on, on.headers, rows.slice(0, 1)).selected).toBe(0);
  });

  it('filters while typing, and escape takes the filter back', () => {
    const typing = press(listed, '/web').model;
    expect(visibleRows(typing).map(each => each.name)).toEqual(['web-1', 'web-2']);
    const done = press(typing, named('return')).model;
    expect(done.input).toBeUndefined();
    expect(visibleRows(done)).toHaveLength(2);
    expect(visibleRows(press(done, named('escape')).model)).toHaveLength(4);
  });

  it('lists another kind or namespace from scratch', () => {
    const kind = press(listed, ':deploy', named('return'));
    expect(kind).toMatchObject({ model: { kind: 'deploy', rows: [], live: false }, effects: [{ do: 'list' }] });
    expect(press({ ...listed, namespaced: false }, ':deploy', named('return')).model.namespaced).toBe(true);
    const all = press(listed, 'nall', named('return'));
    expect(all).toMatchObject({ model: { namespace: '', kind: 'pods' }, effects: [{ do: 'list' }] });
  });

  it('describes, and shows logs of pods only', () => {
    const described = press(listed, 'j', 'd');
    expect(described.effects).toEqual([{ do: 'describe', row: rows[1] }]);
    const filled = withText(described.model, ['a', 'b']);
    expect(filled.screen).toMatchObject({ at: 'text', lines: ['a', 'b'] });
    expect(press(filled, named('escape'))).toMatchObject({
      model: { screen: { at: 'list' } },
      effects: [{ do: 'closeText' }],
    });
    expect(press(listed, 'l').effects).toEqual([{ do: 'logs', row: rows[0] }]);
    expect(press({ ...listed, kind: 'services' }, 'l').model.notice).toContain('logs are of pods');
  });

  it('deletes only after a yes', () => {
    const asked = press(listed, 'x').model;
    expect(asked.screen).toMatchObject({ at: 'confirm', question: 'delete pods api? (y/n)' });
    expect(press(asked, 'n')).toMatchObject({ effects: [], model: { screen: { at: 'list' } } });
    expect(press(asked, 'y').effects).toEqual([{ do: 'delete', row: rows[0] }]);
  });

  it('follows a log until someone scrolls up, and again at its end', () => {
    const open = withText(
      press(listed, 'l').model,
      Array.from({ length: 50 }, (_, index) => `line ${index}`),
    );
    const up = press(open, 'k').model;
    expect(up.screen).toMatchObject({ follow: false, offset: 39 });
    expect(press(up, 'G').model.screen).toMatchObject({ follow: true });
  });

  it('quits with q, :q and ctrl-c', () => {
    expect(press(listed, 'q').model.quit).toBe(true);
    expect(press(listed, ':q', named('return')).model.quit).toBe(true);
    expect(press(listed, { name: 'text', text: 'c', ctrl: true }).model.quit).toBe(true);
  });
});
