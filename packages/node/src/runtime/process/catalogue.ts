/**
 * Images of the process runtime: names that stand for programs of the machine.
 *
 * There are no layers and no registry. A name, with any tag or digest, is looked up in the user's entries first (one that is
 * named with a tag serves that tag alone) and then among the built-in ones:
 *
 * - `orbitkit/echo`: an HTTP server on its first containerPort (8080 when none) that answers with the pod's name.
 * - `nginx`, `httpd`: a small static file server on port 80, in place of the real one. It serves
 *   `/usr/share/nginx/html` when a volume is mounted there, else a page of welcome. Configuration files are not read.
 * - `python`, `python3`: the machine's Python, when it is installed; `python` is then on the PATH too.
 * - `busybox`, `alpine`, `debian`, `ubuntu`, `bash`: the machine's `sh` and tools.
 * - `pause`: does nothing.
 *
 * An unknown name with a command of the container's own runs that command from the machine. Without one the pull fails and
 * says how to add an entry.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installLine } from '../../network/command.js';
import { type ContainerConfig, type ImageStatus, RuntimeError } from '../contract.js';
import { type ProgramName, programPath } from './programs.js';

/** The program that a name of an image stands for. */
export interface CatalogueEntry {
  /** The program and its first arguments; a container's `command` replaces it. */
  command: readonly string[];
  /** Default arguments; a container's `args` or `command` replace them. */
  args?: readonly string[];
  /** A container's own values win. */
  env?: Readonly<Record<string, string>>;
  /** Default: the container's own directory. */
  workingDir?: string;
}

export interface Resolved {
  argv: readonly string[];
  env: Readonly<Record<string, string>>;
  workingDir?: string;
  imageId: string;
}

export interface Catalogue {
  status(image: string, command?: readonly string[]): ImageStatus | undefined;
  /** @throws RuntimeError `ImagePullFailed` */
  pull(image: string, command?: readonly string[]): ImageStatus;
  list(): ImageStatus[];
  /** @throws RuntimeError `ImageNotPresent` */
  resolve(config: ContainerConfig): Resolved;
}

interface BuiltIn extends CatalogueEntry {
  /** Why it cannot be used on this machine. */
  missing?(): string | undefined;
  program?: ProgramName;
}

const shellNames = ['busybox', 'alpine', 'debian', 'ubuntu', 'bash'];
const pythonPath = () =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map(directory => join(directory, 'python3'))
    .find(path => existsSync(path));

const builtIn: Readonly<Record<string, BuiltIn>> = {
  'orbitkit/echo': { command: [], program: 'programs/echo' },
  nginx: { command: [], program: 'programs/static-server' },
  httpd: { command: [], program: 'programs/static-server' },
  python: { command: [], args: ['python3'], missing: missingPython },
  python3: { command: [], args: ['python3'], missing: missingPython },
  pause: { command: ['sleep', 'infinity'] },
  ...Object.fromEntries(shellNames.map(name => [name, { command: [], args: ['sh'] }])),
};

function missingPython(): string | undefined {
  return pythonPath()
    ? undefined
    : `the image stands for this machine's python3, which is missing: ${installLine('python3')}`;
}

/** Registry, `library/`, tag and digest taken off: what entries are named by. */
export function imageName(image: string): string {
  const name = image.replace(/@.*$/, '').replace(/:[^/:]*$/, '');
  const parts = name.split('/');
  if (parts.length > 1 && /[.:]|^localhost$/.test(parts[0]!)) parts.shift();
  if (parts.length === 2 && parts[0] === 'library') parts.shift();
  return parts.join('/');
}

export function catalogue(
  entries: Readonly<Record<string, CatalogueEntry>> = {},
  programDirectory?: string,
): Catalogue {
  const tagged = ([name]: [string, CatalogueEntry]) => /[:@][^/]*$/.test(name);
  const own = new Map(
    Object.entries(entries)
      .filter(entry => !tagged(entry))
      .map(([name, entry]) => [imageName(name), entry]),
  );

  /** An entry with a tag serves that reference alone, one without serves every tag. */
  function find(image: string): BuiltIn | undefined {
    return entries[image] ?? own.get(imageName(image)) ?? builtIn[imageName(image)];
  }

  const statusOf = (image: string): ImageStatus => ({
    id: `process:${imageName(image)}`,
    references: [image],
    sizeBytes: 0,
  });

  function status(image: string, command?: readonly string[]): ImageStatus | undefined {
    const entry = find(image);
    if (entry) return entry.missing?.() === undefined ? statusOf(image) : undefined;
    return command && command.length > 0 ? statusOf(image) : undefined;
  }

  return {
    status,
    pull(image, command) {
      const found = status(image, command);
      if (found) return found;
      const why =
        find(image)?.missing?.() ??
        `the process runtime runs programs of this machine and has no entry for it; add one to the catalogue, ` +
          `processRuntime({ catalogue: { '${imageName(image)}': { command: ['/path/to/program'] } } }), ` +
          `or give the container a command`;
      throw new RuntimeError('ImagePullFailed', `image ${image}: ${why}`);
    },
    list: () => [...new Set([...Object.keys(entries), ...Object.keys(builtIn)])].map(name => statusOf(name)),
    resolve(config) {
      const entry = find(config.image);
      const found = status(config.image, config.command);
      if (!found) throw new RuntimeError('ImageNotPresent', `image ${config.image} is not present on this machine`);
      const base = {
        env: entry?.env ?? {},
        imageId: found.id,
        ...(entry?.workingDir ? { workingDir: entry.workingDir } : {}),
      };
      if (config.command && config.command.length > 0)
        return { ...base, argv: [...config.command, ...(config.args ?? [])] };
      const args = config.args && config.args.length > 0 ? config.args : (entry?.args ?? []);
      const command = entry?.program
        ? [process.execPath, programPath(entry.program, programDirectory)]
        : (entry?.command ?? []);
      const argv = [...command, ...args];
      if (argv.length === 0) {
        throw new RuntimeError(
          'InvalidConfig',
          `the catalogue's entry for ${config.image} has no command, and neither has the container`,
        );
      }
      return { ...base, argv };
    },
  };
}
