/** Comma-separated values as RFC 4180 has them: quoted fields, doubled quotes, CRLF or LF. Blank lines are left out. */

export interface CsvRow {
  /** Of the file, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

/** @throws Error when a quote is not closed, with its line. */
export function* csvRows(text: string): Generator<CsvRow> {
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const begun = line;
    const fields: string[] = [];
    for (;;) {
      if (text[at] === '"') {
        let field = '';
        at += 1;
        for (;;) {
          const close = text.indexOf('"', at);
          if (close < 0) throw new Error(`line ${begun}: a quote is not closed`);
          field += text.slice(at, close);
          at = close + 1;
          if (text[at] !== '"') break;
          field += '"';
          at += 1;
        }
        for (const char of field) if (char === '\n') line += 1;
        fields.push(field);
      } else {
        let end = at;
        while (end < text.length && text[end] !== ',' && text[end] !== '\n') end += 1;
        fields.push(text.slice(at, end).replace(/\r$/, '').trim());
        at = end;
      }
      if (text[at] === ',') {
        at += 1;
        continue;
      }
      while (at < text.length && text[at] !== '\n') at += 1;
      at += 1;
      line += 1;
      break;
    }
    if (fields.length > 1 || fields[0] !== '') yield { line: begun, fields };
  }
}
