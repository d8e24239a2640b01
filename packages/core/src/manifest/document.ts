/**
 * Reads the documents of a YAML or JSON text and remembers where everything stands.
 *
 * - Scalars are read as Kubernetes reads them, which is YAML 1.1: `0644` is octal, `yes` and `on` are true. Dates and
 *   `1:30` stay texts, as in its parser.
 * - Duplicate keys are errors. Tabs are allowed in JSON. Aliases and merge keys work, within a bound.
 * - Empty documents are skipped.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { ManifestError, type ManifestLocation, type ManifestProblem } from './problem.js';
import { indentContinuations } from './under-indented.js';

/** One document of a file, with the place of every value. */
export interface ManifestDocument {
  /** The value of the document; a fresh one, the caller's own. */
  readonly value: unknown;
  readonly file: string;
  /** Where the document begins. */
  readonly start: ManifestLocation;
  /** @internal For {@link locate}. */
  readonly source: { document: Document.Parsed; place: (offset: number) => ManifestLocation; prefix: string };
}

/** How the text is named. */
export interface LoadOptions {
  /** Named in every error. Default `<input>`. */
  file?: string;
}

const longestText = 32 * 1024 * 1024;
const mostDocuments = 10_000;
/** Billion-laughs bound: uses of anchors, counted with what they multiply. */
const mostAliases = 1_000;

/** @throws ManifestError with every problem found, each with file, line and column. */
export function loadDocuments(text: string, options: LoadOptions = {}): ManifestDocument[] {
  const file = options.file ?? '<input>';
  const single = (message: string) => new ManifestError([{ file, line: 1, column: 1, message }]);
  if (text.length > longestText) throw single(`the text is longer than ${longestText} characters`);

  const written = spacesForJsonTabs(text);
  let read = parseText(written);
  let added: ReadonlyMap<number, number> = new Map();
  if (problemsOf(read).length > 0) {
    const mended = indentContinuations(written, each => problemsOf(parseText(each)));
    if (mended) {
      read = parseText(mended.text);
      added = mended.added;
    }
  }
  const { parsed, lines } = read;
  if (parsed.length > mostDocuments) throw single(`the text has more than ${mostDocuments} documents`);

  const place = (offset: number): ManifestLocation => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(1, line), column: Math.max(1, col - (added.get(line) ?? 0)) };
  };
  const problems: ManifestProblem[] = [];
  const documents: ManifestDocument[] = [];
  const mayHaveAliases = text.includes('*');
  for (const document of parsed) {
    for (const error of document.errors)
      problems.push({ ...place(error.pos[0]), message: wordsFor(error.code, error.message) });
    if (document.errors.length > 0) continue;
    const start = place(document.contents?.range?.[0] ?? document.range[0]);
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: mostAliases });
      // Aliases share what they stand for; the caller may change one place without the other.
      if (mayHaveAliases) value = JSON.parse(JSON.stringify(value ?? null));
    } catch (error) {
      problems.push({ ...start, message: (error as Error).message });
      continue;
    }
    if (value === null || value === undefined) continue;
    documents.push({ value, file, start, source: { document, place, prefix: '' } });
  }
  if (problems.length > 0) throw new ManifestError(problems);
  return documents;
}

interface Parsed {
  parsed: Document.Parsed[];
  lines: LineCounter;
}

function parseText(text: string): Parsed {
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    version: '1.1',
    // What Kubernetes' parser does not have: sexagesimal numbers, and times as anything but texts.
    customTags: tags =>
      tags.filter(tag => typeof tag === 'string' || (tag.format !== 'TIME' && !tag.tag.endsWith(':timestamp'))),
  });
  // A text without any document is an empty list with other properties.
  return { parsed: [...parsed] as Document.Parsed[], lines };
}

const problemsOf = ({ parsed }: Parsed) => parsed.flatMap(document => document.errors);

/** Tabs are white space in JSON and errors in YAML; a JSON string holds none, so a space in its place changes nothing else. */
function spacesForJsonTabs(text: string): string {
  const first = /\S/.exec(text)?.[0];
  return (first === '{' || first === '[') && text.includes('\t') ? text.replaceAll('\t', ' ') : text;
}

function wordsFor(code: string, message: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'this key is there twice in one mapping';
    case 'TAB_AS_INDENT':
      return 'a tab is used for indentation; YAML allows only spaces';
    default:
      return message;
  }
}

/**
 * Where a field of the document stands. `fieldPath` is what a server's error names: `spec.containers[0].image`,
 * `metadata.labels[app]`, `data.a.b`. A field that is not there stands where the deepest part of its path does.
 */
export function locate(
  manifest: Pick<ManifestDocument, 'file' | 'start' | 'source'>,
  fieldPath: string,
): ManifestLocation {
  const { document, prefix } = manifest.source;
  let node: Node | null = document.contents;
  let offset: number | undefined;
  let rest = prefix && fieldPath ? `${prefix}.${fieldPath}` : prefix || fieldPath;
  while (rest !== '' && node) {
    if (isAlias(node)) node = node.resolve(document) ?? null;
    const step: { value: Node | null; at: number | undefined; rest: string } | undefined = isMap(node)
      ? intoMap(node, rest)
      : isSeq(node)
        ? intoList(node.items, rest)
        : undefined;
    if (!step) break;
    node = step.value;
    offset = step.at ?? offset;
    rest = step.rest;
  }
  return offset === undefined ? manifest.start : manifest.source.place(offset);
}

const withoutDot = (rest: string): string => (rest.startsWith('.') ? rest.slice(1) : rest);

/** Keys may have dots themselves (`data.a.b`, labels): the longest key that fits is meant. */
function intoMap(map: YAMLMap, rest: string): { value: Node | null; at: number | undefined; rest: string } | undefined {
  let best: { value: Node | null; at: number | undefined; rest: string; length: number } | undefined;
  for (const { key, value } of map.items) {
    const name = isScalar(key) ? String(key.value) : undefined;
    if (name === undefined || name === '') continue;
    let after: string | undefined;
    if (rest.startsWith(`[${name}]`)) after = rest.slice(name.length + 2);
    else if (rest.startsWith(name) && /^($|[.[])/.test(rest.slice(name.length))) after = rest.slice(name.length);
    if (after === undefined || (best && best.length >= name.length)) continue;
    const at = isNode(key) ? key.range?.[0] : undefined;
    best = { value: isNode(value) ? value : null, at, rest: withoutDot(after), length: name.length };
  }
  return best;
}

function intoList(
  items: readonly unknown[],
  rest: string,
): { value: Node | null; at: number | undefined; rest: string } | undefined {
  const match = /^\[(\d+)\]/.exec(rest);
  const item = match && items[Number(match[1])];
  if (!match || !isNode(item)) return undefined;
  return { value: item, at: item.range?.[0], rest: withoutDot(rest.slice(match[0].length)) };
}
