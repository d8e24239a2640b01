/** Wires the model to the keyboard, the terminal's size and the effects. */

import type { DiscoveredKind } from '@orbitkit/core';
import { useApp, useInput, useStdout } from 'ink';
import { useCallback, useEffect, useRef, useState } from 'react';
import { keyIn, type Session } from '../session.js';
import { followLogs, liveList, type Sink, showDescribe } from './effects.js';
import { type Effect, initialModel, type Key, type Model, onKey, withRows, withText } from './model.js';
import { pageSizeOf, Screen } from './screen.js';

export interface AppProps {
  session: Session;
  kind: string;
  namespace: string;
  signal: AbortSignal;
  /** Default true. */
  colors?: boolean;
}

/** What these keys are when they arrive amid other text. */
const controlKeys: Readonly<Record<string, Key['name']>> = {
  '\r': 'return',
  '\n': 'return',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x1b': 'escape',
};

export function App({ session, kind, namespace, signal, colors = true }: AppProps) {
  const { exit } = useApp();
  const { stdout } = useStdout();
  const [size, setSize] = useState({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
  const [model, setModel] = useState<Model>(() => initialModel(kind, namespace));
  const current = useRef(model);
  const kindRef = useRef<DiscoveredKind | undefined>(undefined);
  const list = useRef<AbortController | undefined>(undefined);
  const text = useRef<AbortController | undefined>(undefined);

  const update = useCallback((change: (model: Model) => Model) => {
    current.current = change(current.current);
    setModel(current.current);
  }, []);

  const run = useCallback(
    (effect: Effect) => {
      const say = (notice: string) => update(now => ({ ...now, notice }));
      const failed = (error: unknown) => say((error as Error).message);
      if (effect.do === 'list') {
        list.current?.abort();
        const own = new AbortController();
        list.current = own;
        const sink: Sink = {
          rows(headers, rows, of) {
            if (own.signal.aborted) return;
            kindRef.current = of;
            update(now => withRows({ ...now, kind: of.plural, namespaced: of.namespaced }, headers, rows));
          },
          text: () => {},
          notice: notice => own.signal.aborted || say(notice),
        };
        liveList(session, current.current.kind, current.current.namespace, sink, own.signal).catch(failed);
        return;
      }
      if (effect.do === 'closeText') {
        text.current?.abort();
        return;
      }
      const of = kindRef.current;
      if (!of) return;
      if (effect.do === 'delete') {
        session.client
          .delete(of, keyIn(session, of, effect.row.name, effect.row.namespace), { propagationPolicy: 'Background' })
          .then(() => say(`${of.singular} ${effect.row.name} deleted`), failed);
        return;
      }
      text.current?.abort();
      const own = new AbortController();
      text.current = own;
      const sink: Sink = {
        rows: () => {},
        text: lines => own.signal.aborted || update(now => withText(now, lines)),
        notice: notice => own.signal.aborted || say(notice),
      };
      const work =
        effect.do === 'describe'
          ? showDescribe(session, of, effect.row, sink)
          : followLogs(session, effect.row, sink, own.signal);
      work.catch(error => {
        if (!own.signal.aborted) update(now => withText(now, [(error as Error).message]));
      });
    },
    [session, update],
  );

  useEffect(() => {
    run({ do: 'list' });
    const onResize = () => setSize({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
    const onAbort = () => exit();
    stdout.on('resize', onResize);
    signal.addEventListener('abort', onAbort, { once: true });
    return () => {
      stdout.off('resize', onResize);
      signal.removeEventListener('abort', onAbort);
      list.current?.abort();
      text.current?.abort();
    };
  }, [run, stdout, signal, exit]);

  useInput((input, key) => {
    const name: Key['name'] = key.upArrow
      ? 'up'
      : key.downArrow
        ? 'down'
        : key.pageUp
          ? 'pageUp'
          : key.pageDown
            ? 'pageDown'
            : key.return
              ? 'return'
              : key.escape
                ? 'escape'
                : key.backspace || key.delete
                  ? 'backspace'
                  : 'text';
    // Pasted or fast typing arrives as one text; each character is a key of its own, the return at its end too.
    for (const character of name === 'text' ? [...input] : ['']) {
      const named = controlKeys[character];
      const typed: Key = named ? { name: named, text: '', ctrl: false } : { name, text: character, ctrl: key.ctrl };
      const answer = onKey(current.current, typed, pageSizeOf(size.rows));
      update(() => answer.model);
      for (const effect of answer.effects) run(effect);
    }
    if (current.current.quit) exit();
  });

  return <Screen model={model} server={session.server} columns={size.columns} rows={size.rows} colors={colors} />;
}
