/** Reading `-f`: files, folders (not their subfolders unless asked), `-` for standard input. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isStatusError, type StatusError } from '@orbitkit/core';
import { formatLocation, loadManifests, locate, type Manifest } from '@orbitkit/core/manifest';
import { CommandError, type Terminal } from './terminal.js';

const endings = ['.yaml', '.yml', '.json'];

/** @throws CommandError naming the file; ManifestError naming file and line. */
export async function readManifests(
  paths: readonly string[],
  terminal: Terminal,
  recursive = false,
): Promise<Manifest[]> {
  if (paths.length === 0) throw new CommandError('-f FILE is required (a file, a folder, or - for standard input)');
  const manifests: Manifest[] = [];
  for (const path of paths) {
    if (path === '-') {
      const chunks: Buffer[] = [];
      for await (const chunk of terminal.stdin as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
      manifests.push(...loadManifests(Buffer.concat(chunks).toString('utf8'), { file: '<stdin>' }));
      continue;
    }
    for (const file of await filesOf(path, recursive)) {
      manifests.push(...loadManifests(await readFile(file, 'utf8'), { file }));
    }
  }
  if (manifests.length === 0) throw new CommandError(`no objects in ${paths.join(', ')}`);
  return manifests;
}

async function filesOf(path: string, recursive: boolean): Promise<string[]> {
  let facts: Awaited<ReturnType<typeof stat>>;
  try {
    facts = await stat(path);
  } catch {
    throw new CommandError(`${path}: no such file or folder`);
  }
  if (!facts.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inside = join(path, entry.name);
    if (entry.isDirectory() && recursive) files.push(...(await filesOf(inside, true)));
    else if (entry.isFile() && endings.some(ending => entry.name.endsWith(ending))) files.push(inside);
  }
  return files;
}

/** Says where in the file the server's complaint points, when it names a field. */
function withPlace(error: StatusError, manifest: Manifest): string {
  const named = (error.details.causes ?? []).flatMap(cause =>
    cause.field ? [{ field: cause.field.replace(/^\./, ''), text: `: ${cause.message ?? ''}` }] : [],
  );
  // Strict decoding names its fields in the message alone.
  const unknown = [...error.message.matchAll(/(?:unknown|duplicate) field "([^"]+)"/g)].map(match => ({
    field: match[1]!,
    text: '',
  }));
  const lines = [...named, ...unknown].map(
    ({ field, text }) => `  ${formatLocation(locate(manifest, field))}: ${field}${text}`,
  );
  const place = formatLocation(manifest.start.file ? manifest.start : { file: manifest.file, line: 1, column: 1 });
  return lines.length > 0 ? `${place}: ${error.message}\n${lines.join('\n')}` : `${place}: ${error.message}`;
}

/** Works through all manifests; errors are told with their place and do not stop the others. */
export async function eachManifest(
  manifests: readonly Manifest[],
  terminal: Terminal,
  work: (manifest: Manifest) => Promise<void>,
): Promise<void> {
  let failures = 0;
  for (const manifest of manifests) {
    try {
      await work(manifest);
    } catch (error) {
      if (terminal.signal.aborted || !isStatusError(error)) throw error;
      failures += 1;
      terminal.stderr.write(`Error: ${withPlace(error, manifest)}\n`);
    }
  }
  if (failures > 0) throw new CommandError(`${failures} of ${manifests.length} objects failed`);
}
