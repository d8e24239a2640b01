/** The runtime's programs, built from the present source into a folder that every user may read. */
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const source = fileURLToPath(new URL('..', import.meta.url));

/** Resolves to a directory for `programDirectory`. */
export async function builtPrograms(parent: string): Promise<string> {
  const directory = await mkdtemp(join(parent, 'programs-'));
  await build({
    entry: Object.fromEntries(
      ['helper/main', 'programs/echo', 'programs/static-server'].map(name => [name, join(source, `${name}.ts`)]),
    ),
    outDir: directory,
    format: 'esm',
    target: 'node20',
    platform: 'node',
    config: false,
    silent: true,
    clean: false,
    noExternal: [/.*/],
    tsconfig: fileURLToPath(new URL('../../../../../../tsconfig.base.json', import.meta.url)),
    outExtension: () => ({ js: '.js' }),
    esbuildOptions(options) {
      options.conditions = ['@orbitkit/source'];
    },
  });
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  await chmod(directory, 0o755);
  return directory;
}
