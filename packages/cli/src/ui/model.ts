/**
 * The terminal UI as a value: what is shown, and how keys change it. Pure; the screen draws it, the effects feed it.
 *
 * Keys are the ones that users of k9s know: `:` a kind, `/` a filter, `n` the namespace, `d` describe, `l` logs, `x` delete, `esc` back, `q` quit.
 */

export interface Row {
  uid: string;
  name: string;
  namespace: string;
  cells: string[];
}

export type Screen =
  | { at: 'list' }
  | {
      at: 'text';
      title: string;
      lines: readonly string[];
      offset: number;
      follow: boolean;
      source: 'describe' | 'logs';
    }
  | { at: 'confirm'; question: string; target: Row };

export interface Model {
  /** Plural of the kind that is listed. */
  kind: string;
  /** False for nodes and the like; as long as it is not known, true. */
  namespaced: boolean;
  /** '' is all namespaces. */
  namespace: string;
  headers: readonly string[];
  rows: readonly Row[];
  selected: number;
  filter: string;
  /** What is being typed, and for what. */
  input: { mode: 'kind' | 'filter' | 'namespace'; text: string } | undefined;
  screen: Screen;
  /** A line for the person: an error, or what was done. */
  notice: string;
  live: boolean;
  quit: boolean;
}

export interface Key {
  name: 'up' | 'down' | 'pageUp' | 'pageDown' | 'home' | 'end' | 'return' | 'escape' | 'backspace' | 'text';
  text: string;
  ctrl: boolean;
}

/** What the model asks of the outside. */
export type Effect =
  | { do: 'list' }
  | { do: 'describe'; row: Row }
  | { do: 'logs'; row: Row }
  | { do: 'delete'; row: Row }
  | { do: 'closeText' };

export const initialModel = (kind: string, namespace: string): Model => ({
  kind,
  namespaced: true,
  namespace,
  headers: [],
  rows: [],
  selected: 0,
  filter: '',
  input: undefined,
  screen: { at: 'list' },
  notice: '',
  live: false,
  quit: false,
});

/** The rows that pass the filter: every word must stand in some cell. */
export function visibleRows({ rows, filter }: Pick<Model, 'rows' | 'filter'>): readonly Row[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return rows;
  return rows.filter(row => {
    const text = [row.namespace, ...row.cells].join(' ').toLowerCase();
    return words.every(word => text.includes(word));
  });
}

const clamp = (value: number, most: number): number => Math.max(0, Math.min(value, most));

/** New rows keep the selection on the object that it was on, as long as that is there. */
export function withRows(model: Model, headers: readonly string[], rows: readonly Row[]): Model {
  const uid = visibleRows(model)[model.selected]?.uid;
  const next = { ...model, headers, rows, live: true };
  const visible = visibleRows(next);
  const at = visible.findIndex(row => row.uid === uid);
  return { ...next, selected: at >= 0 ? at : clamp(model.selected, visible.length - 1) };
}

export function withText(model: Model, lines: readonly string[]): Model {
  if (model.screen.at !== 'text') return model;
  return { ...model, screen: { ...model.screen, lines } };
}

export function onKey(model: Model, key: Key, pageSize: number): { model: Model; effects: Effect[] } {
  const stay = (next: Partial<Model> = {}, ...effects: Effect[]) => ({
    model: { ...model, notice: '', ...next },
    effects,
  });
  if (key.ctrl && key.text === 'c') return stay({ quit: true });
  if (model.input) return onInput(model, key, model.input);
  if (model.screen.at === 'confirm') {
    const { target } = model.screen;
    if (key.name === 'text' && key.text.toLowerCase() === 'y')
      return stay({ screen: { at: 'list' } }, { do: 'delete', row: target });
    return stay({ screen: { at: 'list' }, notice: 'not deleted' });
  }
  if (model.screen.at === 'text') return onTextKey(model, key, model.screen, pageSize);

  const visible = visibleRows(model);
  const row = visible[model.selected];
  const move = (to: number) => stay({ selected: clamp(to, visible.length - 1) });
  switch (key.name) {
    case 'up':
      return move(model.selected - 1);
    case 'down':
      return move(model.selected + 1);
    case 'pageUp':
      return move(model.selected - pageSize);
    case 'pageDown':
      return move(model.selected + pageSize);
    case 'home':
      return move(0);
    case 'end':
      return move(visible.length - 1);
    case 'escape':
      return stay({ filter: '' });
    case 'return':
      return row ? openText(model, 'describe', row) : stay();
    case 'backspace':
      return stay();
  }
  switch (key.text) {
    case 'q':
      return stay({ quit: true });
    case 'k':
      return move(model.selected - 1);
    case 'j':
      return move(model.selected + 1);
    case 'g':
      return move(0);
    case 'G':
      return move(visible.length - 1);
    case ':':
      return stay({ input: { mode: 'kind', text: '' } });
    case '/':
      return stay({ input: { mode: 'filter', text: model.filter } });
    case 'n':
      return stay({ input: { mode: 'namespace', text: '' } });
    case 'd':
      return row ? openText(model, 'describe', row) : stay();
    case 'l':
      if (model.kind !== 'pods') return stay({ notice: 'logs are of pods; type :pods' });
      return row ? openText(model, 'logs', row) : stay();
    case 'x':
      if (!row) return stay();
      return stay({ screen: { at: 'confirm', question: `delete ${model.kind} ${row.name}? (y/n)`, target: row } });
  }
  return stay();
}

function openText(model: Model, source: 'describe' | 'logs', row: Row): { model: Model; effects: Effect[] } {
  const screen: Screen = {
    at: 'text',
    title: `${source} ${row.name}`,
    lines: ['…'],
    offset: 0,
    follow: source === 'logs',
    source,
  };
  return { model: { ...model, notice: '', screen }, effects: [{ do: source, row }] };
}

function onInput(model: Model, key: Key, input: NonNullable<Model['input']>): { model: Model; effects: Effect[] } {
  const typed = (text: string) => {
    const next = { ...model, input: { ...input, text } };
    return { model: input.mode === 'filter' ? { ...next, filter: text, selected: 0 } : next, effects: [] };
  };
  if (key.name === 'escape')
    return { model: { ...model, input: undefined, ...(input.mode === 'filter' ? { filter: '' } : {}) }, effects: [] };
  if (key.name === 'backspace') return typed(input.text.slice(0, -1));
  if (key.name === 'text' && !key.ctrl) return typed(input.text + key.text);
  if (key.name !== 'return') return { model, effects: [] };
  const text = input.text.trim();
  const closed = { ...model, input: undefined, notice: '' };
  if (input.mode === 'filter') return { model: closed, effects: [] };
  const fresh = { ...closed, rows: [], headers: [], selected: 0, filter: '', live: false };
  if (input.mode === 'namespace') {
    const namespace = text === 'all' || text === '*' ? '' : text || 'default';
    return { model: { ...fresh, namespace }, effects: [{ do: 'list' }] };
  }
  if (text === 'q' || text === 'quit') return { model: { ...closed, quit: true }, effects: [] };
  if (text === '') return { model: closed, effects: [] };
  return { model: { ...fresh, kind: text, namespaced: true }, effects: [{ do: 'list' }] };
}

function onTextKey(
  model: Model,
  key: Key,
  screen: Screen & { at: 'text' },
  pageSize: number,
): { model: Model; effects: Effect[] } {
  const last = Math.max(0, screen.lines.length - pageSize);
  const at = screen.follow ? last : Math.min(screen.offset, last);
  const move = (offset: number) => {
    const to = clamp(offset, last);
    return {
      model: { ...model, screen: { ...screen, offset: to, follow: screen.source === 'logs' && to === last } },
      effects: [],
    };
  };
  const steps: Partial<Record<Key['name'], number>> = {
    up: at - 1,
    down: at + 1,
    pageUp: at - pageSize,
    pageDown: at + pageSize,
    home: 0,
    end: last,
  };
  const to =
    steps[key.name] ??
    (key.text === 'k'
      ? at - 1
      : key.text === 'j'
        ? at + 1
        : key.text === 'g'
          ? 0
          : key.text === 'G'
            ? last
            : undefined);
  if (to !== undefined) return move(to);
  if (key.name === 'escape' || key.text === 'q')
    return { model: { ...model, screen: { at: 'list' } }, effects: [{ do: 'closeText' }] };
  return { model, effects: [] };
}
