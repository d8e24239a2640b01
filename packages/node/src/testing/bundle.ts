/**
 * Bundles programs of this package from the present source, for tests that start them: as another user, in a network
 * namespace of their own. A build is not needed then, and what is tested is never an old one.
 */
import { chmod, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsup';

const source = fileURLToPath(new URL('..', import.meta.url));

/** `names` are modules below `src`, without their ending. Resolves to a folder that every user may read. */
export async function bundle(parent: string, names: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(parent, 'programs-'));
  await build({
    entry: Object.fromEntries(Object.entries(names).map(([name, path]) => [name, join(source, `${path}.ts`)])),
    outDir: directory,
    format: 'esm',
    target: 'node20',
    platform: 'node',
    config: false,
    silent: true,
    clean: false,
    removeNodeProtocol: false,
    noExternal: [/.*/],
    tsconfig: join(source, '../../../tsconfig.base.json'),
    outExtension: () => ({ js: '.js' }),
    esbuildOptions(options) {
      options.conditions = ['@orbitkit/source'];
    },
  });
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  await chmod(directory, 0o755);
  return directory;
}

/** The process runtime's own programs, for its `programDirectory`. */
export const runtimePrograms = {
  'helper/main': 'runtime/process/helper/main',
  'programs/echo': 'runtime/process/programs/echo',
  'programs/static-server': 'runtime/process/programs/static-server',
};
