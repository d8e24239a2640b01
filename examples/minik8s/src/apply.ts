/**
 * Applies manifests of the older MiniK8s systems: `node examples/minik8s/dist/apply.js FILE…`. Each deviation that is rewritten is said as a
 * warning; what has no counterpart yet is listed with its reason and is no error; what is wrong is refused with file, line and field.
 */
import { readFile } from 'node:fs/promises';
import { applyObject, openSession, type Session } from '@orbitkit/cli';
import { isAlreadyExists, isStatusError, Namespace } from '@orbitkit/core';
import { formatLocation, isManifestError, loadDocuments } from '@orbitkit/core/manifest';
import { translate } from '../compat/translate.js';

export interface CompatReport {
  applied: { file: string; name: string; verb: string; warnings: string[] }[];
  waits: { file: string; what: string; reason: string }[];
  refused: { place: string; message: string }[];
}

export async function applyOlder(
  session: Session,
  files: readonly string[],
  signal: AbortSignal,
): Promise<CompatReport> {
  const report: CompatReport = { applied: [], waits: [], refused: [] };
  for (const file of files) {
    let documents: ReturnType<typeof loadDocuments>;
    try {
      documents = loadDocuments(await readFile(file, 'utf8'), { file });
    } catch (error) {
      if (!isManifestError(error) && (error as NodeJS.ErrnoException).syscall === undefined) throw error;
      report.refused.push({ place: file, message: (error as Error).message });
      continue;
    }
    for (const document of documents) {
      const place = formatLocation(document.start);
      try {
        const translated = translate(document.value);
        if (translated.outcome === 'waits') {
          report.waits.push({ file, what: translated.what, reason: translated.reason });
          continue;
        }
        const { object, warnings } = translated;
        await ensureNamespace(session, object.metadata.namespace, warnings);
        const options = { fieldManager: 'minik8s-apply', fieldValidation: 'Warn' as const, signal };
        const { name, verb } = await applyObject(session, object, options);
        report.applied.push({ file, name, verb, warnings });
      } catch (error) {
        if (!isStatusError(error) && !(error instanceof TypeError)) throw error;
        report.refused.push({ place, message: error.message });
      }
    }
  }
  return report;
}

/** The older systems knew no namespaces as objects: whatever was written, was there. */
async function ensureNamespace(session: Session, name: string | undefined, warnings: string[]): Promise<void> {
  if (!name || name === 'default') return;
  try {
    await session.client.create(Namespace, { metadata: { name }, spec: {} });
    warnings.push(`namespace "${name}" was created`);
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

async function main(files: string[]): Promise<number> {
  if (files.length === 0) {
    console.error('usage: apply.js FILE…');
    return 2;
  }
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  const session = await openSession(
    {},
    {
      stdin: process.stdin,
      stdout: process.stdout,
      stderr: process.stderr,
      env: process.env,
      cwd: process.cwd(),
      signal: stop.signal,
    },
  );
  try {
    const { applied, waits, refused } = await applyOlder(session, files, stop.signal);
    for (const { name, verb, warnings } of applied) {
      console.log(`${name} ${verb}`);
      for (const warning of warnings) console.error(`Warning: ${warning}`);
    }
    for (const { what, reason } of waits) console.log(`${what} waits: ${reason}`);
    for (const { place, message } of refused) console.error(`Error: ${place}: ${message}`);
    return refused.length > 0 ? 1 : 0;
  } finally {
    await session.close();
  }
}

if (process.argv[1]?.endsWith('apply.js')) {
  process.exitCode = await main(process.argv.slice(2)).catch((error: Error) => {
    console.error(`Error: ${error.message}`);
    return 1;
  });
}
