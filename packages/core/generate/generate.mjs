// Re-makes everything under src/kinds/generated from data/; `--out DIR` writes it elsewhere, to compare.
// kinds/generated.test.ts does that, so a hand edit or a forgotten run fails the tests.
import { mkdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { writeFacts } from './facts.mjs';
import { writeKinds } from './kinds.mjs';
import { writeTypes } from './types.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({ options: { out: { type: 'string', default: `${root}src/kinds/generated` } } });
const out = `${resolve(values.out)}/`;
const facts = JSON.parse(readFileSync(`${root}data/kubernetes-types.json`, 'utf8'));

mkdirSync(out, { recursive: true });
writeTypes(facts, `${out}types/`);
writeKinds(facts, out);
writeFacts(facts, `${out}facts/`);
