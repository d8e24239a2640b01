import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { defineConfig, type Options } from 'tsup';

/**
 * JavaScript only; the declarations come from `tsc -b`. Entries are the package's `exports` that carry the source condition,
 * plus `bin` mains and the examples' programs. Packages stay external to each other.
 */
function entriesOf(folder: string): Record<string, string> {
  const manifest = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
  const entries: Record<string, string> = {};
  for (const target of Object.values<any>(manifest.exports ?? {})) {
    const source = target['@orbitkit/source'];
    if (source && existsSync(`${folder}/${source}`))
      entries[source.replace(/^\.\/src\//, '').replace(/\.tsx?$/, '')] = `${folder}/${source}`;
  }
  for (const name of manifest.orbitkit?.programs ?? []) entries[name.replace(/\.tsx?$/, '')] = `${folder}/src/${name}`;
  return entries;
}

const folders = ['packages', 'examples'].flatMap(parent => readdirSync(parent).map(name => `${parent}/${name}`));

export default defineConfig(
  folders.flatMap((folder): Options[] => {
    const entry = entriesOf(folder);
    if (Object.keys(entry).length === 0) return [];
    return [
      {
        entry,
        outDir: `${folder}/dist`,
        format: 'esm',
        target: 'node20',
        platform: 'node',
        sourcemap: true,
        splitting: true,
        treeshake: false,
        dts: false,
        esbuildOptions(options) {
          options.packages = 'external';
          options.jsx = 'automatic'; // The tsconfig that tsup reads is the root's, which has no compiler options.
        },
      },
    ];
  }),
);
