/**
 * The images of older MiniK8s manifests, for the process runtime: stand-ins, small programs of our own that do what those manifests expect
 * of the images. Nothing of the originals is in them.
 *
 * | image | here |
 * |---|---|
 * | `python` (every tag) | the machine's Python, as `python3` and `python`; its servers keep to their pod's address (images/python) |
 * | `7143192/fileserver` | serves `/usr/share/files` on the declared port (8080 and 8000 when none) |
 * | `7143192/downloader` | the same on 3000, and fetches into it: `/download?url=…` |
 * | `jackhel0/httpserver` | a working directory with `server.py`: fib(30) per request, on 7080 |
 * | `lwsg/notice-server` | answers with its variable `_NOTICE`, on 80 |
 * | `lwsg/debug-server` | waits; the machine's tools are there for `exec` |
 *
 * `nginx`, `busybox`, `ubuntu` and the like are in the process runtime's own catalogue.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { CatalogueEntry } from '@orbitkit/node';

/** This example's folder: the same from `src` and from `dist`. */
const here = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** @throws Error when the programs have not been built. */
export function miniK8sImages(
  path = process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin',
): Record<string, CatalogueEntry> {
  const program = (name: string): string => {
    const file = here(`dist/programs/${name}.js`);
    if (!existsSync(file)) throw new Error(`${file} is not there: run \`npm run build:js\` in the repository`);
    return file;
  };
  const node = process.execPath;
  // A python of the machine's own comes first.
  const python = { PATH: `${path}:${here('images/bin')}`, PYTHONPATH: here('images/python'), PYTHONUNBUFFERED: '1' };
  return {
    python: { command: [], args: ['python3'], env: python },
    '7143192/fileserver': { command: [node, program('file-server')] },
    '7143192/downloader': { command: [node, program('file-server'), '--download'] },
    'jackhel0/httpserver': {
      command: [],
      args: ['python3', 'server.py'],
      env: python,
      workingDir: here('images/httpserver'),
    },
    'lwsg/notice-server': { command: [node, program('notice-server')] },
    'lwsg/debug-server': { command: ['sleep', 'infinity'] },
  };
}
