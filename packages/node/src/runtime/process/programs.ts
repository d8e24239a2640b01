/**
 * Finds the package's own programs (the helper, the built-in images' servers): plain JavaScript in `dist`, made by the
 * build, for whoever imports the source too.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../contract.js';

export type ProgramName = 'helper/main' | 'programs/echo' | 'programs/static-server';

/** `directory` is where they are when the package was bundled away from its `dist`. @throws RuntimeError `Unavailable` */
export function programPath(name: ProgramName, directory = programDirectory()): string {
  const path = join(directory, `${name}.js`);
  if (!existsSync(path)) {
    throw new RuntimeError(
      'Unavailable',
      `the process runtime's program ${path} is not there; in a checkout run \`npm run build:js\`, in a bundle give \`programDirectory\``,
    );
  }
  return path;
}

function programDirectory(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); folder !== dirname(folder); folder = dirname(folder)) {
    const manifest = join(folder, 'package.json');
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).name === '@orbitkit/node') {
      return join(folder, 'dist', 'runtime', 'process');
    }
  }
  return dirname(fileURLToPath(import.meta.url));
}
