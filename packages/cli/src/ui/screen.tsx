/** Draws the model. Everything is plain text in boxes; the width and height of the terminal are the only input besides it. */
import { Box, Text } from 'ink';
import { type Model, type Row, visibleRows } from './model.js';

export interface ScreenProps {
  model: Model;
  server: string;
  columns: number;
  rows: number;
  /** False (NO_COLOR) leaves bold, dim and inverse: the selection must be seen. */
  colors: boolean;
}

const inColor = (colors: boolean, color: string): { color?: string } => (colors ? { color } : {});

/** Lines that are not the list: head, table head, input or notice, keys. */
const chrome = 4;
export const pageSizeOf = (rows: number): number => Math.max(1, rows - chrome);

export function Screen({ model, server, columns, rows, colors }: ScreenProps) {
  const pageSize = pageSizeOf(rows);
  return (
    <Box flexDirection="column" width={columns} height={rows}>
      <Head model={model} server={server} colors={colors} />
      {model.screen.at === 'text' ? (
        <TextPage screen={model.screen} pageSize={pageSize} />
      ) : (
        <List model={model} columns={columns} pageSize={pageSize} />
      )}
      <Foot model={model} colors={colors} />
    </Box>
  );
}

function Head({ model, server, colors }: Pick<ScreenProps, 'model' | 'server' | 'colors'>) {
  const count = visibleRows(model).length;
  const of = count === model.rows.length ? `${count}` : `${count}/${model.rows.length}`;
  return (
    <Text wrap="truncate">
      <Text bold {...inColor(colors, 'cyan')}>
        orbit
      </Text>
      {` ${server}  `}
      <Text bold>{model.kind}</Text>
      {`${model.namespaced ? `(${model.namespace || 'all namespaces'})` : ''} [${of}]`}
      {model.filter ? <Text {...inColor(colors, 'yellow')}>{` /${model.filter}`}</Text> : ''}
      {model.live || model.notice ? '' : <Text dimColor> loading…</Text>}
    </Text>
  );
}

function widthsOf(headers: readonly string[], rows: readonly Row[]): number[] {
  return headers.map(
    (header, index) => Math.max(header.length, ...rows.map(row => (row.cells[index] ?? '').length)) + 2,
  );
}

function List({ model, columns, pageSize }: { model: Model; columns: number; pageSize: number }) {
  const visible = visibleRows(model);
  const first = Math.max(0, Math.min(model.selected - Math.floor(pageSize / 2), visible.length - pageSize));
  const page = visible.slice(first, first + pageSize);
  const widths = widthsOf(model.headers, visible);
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('')
      .slice(0, columns);
  return (
    <Box flexDirection="column" height={pageSize + 1}>
      <Text dimColor wrap="truncate">
        {line(model.headers) || ' '}
      </Text>
      {page.map((row, index) => (
        <Text key={row.uid} wrap="truncate" inverse={first + index === model.selected}>
          {line(row.cells) || ' '}
        </Text>
      ))}
      {visible.length === 0 && model.live ? <Text dimColor>nothing here</Text> : null}
    </Box>
  );
}

function TextPage({ screen, pageSize }: { screen: Model['screen'] & { at: 'text' }; pageSize: number }) {
  const last = Math.max(0, screen.lines.length - pageSize);
  const at = screen.follow ? last : Math.min(screen.offset, last);
  return (
    <Box flexDirection="column" height={pageSize + 1}>
      <Text
        bold
        wrap="truncate"
      >{`${screen.title} (${Math.min(screen.lines.length, at + pageSize)}/${screen.lines.length})`}</Text>
      {screen.lines.slice(at, at + pageSize).map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a line's place is its identity here
        <Text key={at + index} wrap="truncate">
          {text || ' '}
        </Text>
      ))}
    </Box>
  );
}

const keys = {
  list: ':kind  /filter  n namespace  d describe  l logs  x delete  q quit',
  text: '↑↓ scroll  g/G ends  esc back',
  confirm: 'y delete  any other key: no',
};

function Foot({ model, colors }: Pick<ScreenProps, 'model' | 'colors'>) {
  const prompt = { kind: ':', filter: '/', namespace: 'namespace (all for every one): ' };
  const first = model.input ? (
    <Text wrap="truncate">{`${prompt[model.input.mode]}${model.input.text}▏`}</Text>
  ) : model.screen.at === 'confirm' ? (
    <Text {...inColor(colors, 'red')} wrap="truncate">
      {model.screen.question}
    </Text>
  ) : (
    <Text {...inColor(colors, 'yellow')} wrap="truncate">
      {model.notice || ' '}
    </Text>
  );
  return (
    <Box flexDirection="column">
      {first}
      <Text dimColor wrap="truncate">
        {keys[model.screen.at]}
      </Text>
    </Box>
  );
}
