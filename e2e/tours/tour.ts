/**
 * What a step of a tour works with: one kubectl, one cluster, a namespace of the chapter's own. Steps of a chapter build on each other.
 * A step that takes long is left to the long run (`ORBITKIT_TOURS=full`).
 */
import type { ChildProcess } from 'node:child_process';
import { expect } from 'vitest';
import type { Ran, RunOptions, TestCluster } from '../cluster.js';

export interface Chapter {
  /** A verb of kubectl, or what some of them have in common; also the namespace's name. */
  name: string;
  steps: readonly Step[];
}

export interface Step {
  title: string;
  /** kubectl's minor version from which on the command exists. */
  from?: number;
  slow?: boolean;
  run(tour: Tour): Promise<void>;
}

export interface TerminalSize {
  rows: number;
  columns: number;
}

export interface Terminal {
  seen(): string;
  type(keys: string): void;
  resize(size: TerminalSize): Promise<void>;
  /** Exit code. */
  ended: Promise<number | null>;
  stop(): Promise<void>;
}

/** Words that are parted by spaces, or a list for words with spaces in them. */
export type Words = string | readonly string[];

export class Tour {
  constructor(
    readonly cluster: TestCluster,
    readonly binary: string,
    readonly minor: number,
    readonly namespace: string,
  ) {}

  #args(words: Words): string[] {
    return ['-n', this.namespace, ...(typeof words === 'string' ? words.split(' ') : words)];
  }

  /** Runs kubectl in the chapter's namespace, whatever becomes of it. */
  kubectl(words: Words, options?: RunOptions): Promise<Ran> {
    return this.cluster.run(this.binary, this.#args(words), { timeoutMs: 80_000, ...options });
  }

  /** @returns standard output; fails on a non-zero exit code. Warnings on standard error are legal. */
  async ok(words: Words, options?: RunOptions): Promise<string> {
    const { code, out, err } = await this.kubectl(words, options);
    if (code !== 0) expect.fail(`kubectl ${show(words)} ended with ${code}\n${out}\n${err}`);
    return out;
  }

  /** The output as JSON. */
  async json(words: Words): Promise<any> {
    const list = typeof words === 'string' ? words.split(' ') : words;
    return JSON.parse(await this.ok([...list, '-o', 'json']));
  }

  /** The command must fail, and say why. */
  async refused(words: Words, why: RegExp | string, options?: RunOptions): Promise<void> {
    const { code, out, err } = await this.kubectl(words, options);
    if (code === 0) expect.fail(`kubectl ${show(words)} was not refused\n${out}`);
    if (typeof why === 'string') expect(err).toContain(why);
    else expect(err).toMatch(why);
  }

  /** Writes a manifest and answers its path. */
  file(name: string, text: string | object | readonly object[], mode?: number): Promise<string> {
    const documents = Array.isArray(text) ? text : [text];
    // Begun as YAML, or older versions read it as one JSON text.
    const written = typeof text === 'string' ? text : documents.map(each => `---\n${JSON.stringify(each)}\n`).join('');
    return this.cluster.file(`${this.namespace}-${name}`, written, mode);
  }

  /** kubectl on a terminal of its own, made by `script` (util-linux); with its exit code when it ends. */
  terminal(words: Words, size: TerminalSize): Terminal {
    const command = [this.binary, ...this.#args(words)].map(word => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
    const child = this.cluster.spawn('script', [
      '-qefc',
      `stty rows ${size.rows} cols ${size.columns}; echo "on $(tty)"; exec ${command}`,
      '/dev/null',
    ]);
    let text = '';
    child.stdout?.on('data', chunk => (text += chunk));
    child.stdin?.on('error', () => {});
    const ended = new Promise<number | null>(resolve => child.once('close', resolve));
    return {
      seen: () => text.replaceAll('\r', ''),
      type: keys => void child.stdin?.write(keys),
      resize: async ({ rows, columns }) => {
        const [, device = ''] = /^on (\S+)/m.exec(text) ?? [];
        const { code, err } = await this.cluster.run('stty', ['-F', device, 'rows', `${rows}`, 'cols', `${columns}`]);
        if (code !== 0) expect.fail(`the terminal ${device} could not be resized: ${err}`);
      },
      ended,
      async stop() {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }

  /** A kubectl that goes on; what it said so far is `seen()`. */
  start(words: Words): { seen(): string; stop(): Promise<void>; child: ChildProcess } {
    const child = this.cluster.spawn(this.binary, this.#args(words));
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (text += chunk));
    child.stdin?.end();
    const ended = new Promise<void>(resolve => child.once('close', () => resolve()));
    return {
      child,
      seen: () => text,
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }
}

const show = (words: Words): string => (typeof words === 'string' ? words : words.join(' '));

/** The rows of a printed table, by the names of its columns. */
export function rowsOf(text: string): Record<string, string>[] {
  const [head = '', ...lines] = text.trimEnd().split('\n');
  const columns = [...head.matchAll(/\S+(?: \S+)*\s*/g)].map(match => ({ name: match[0].trim(), at: match.index }));
  return lines.map(line =>
    Object.fromEntries(columns.map(({ name, at }, index) => [name, line.slice(at, columns[index + 1]?.at).trim()])),
  );
}

/** A deployment of programs that answer with their pod's name. */
export function echo(name: string, replicas: number, more: { image?: string; env?: object[]; labels?: object } = {}) {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, labels: more.labels ?? { app: name } },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [
            {
              name: 'echo',
              image: more.image ?? 'orbitkit/echo:1',
              ports: [{ containerPort: 8080 }],
              ...(more.env ? { env: more.env } : {}),
            },
          ],
        },
      },
    },
  };
}

/** A pod that runs a shell script. */
export const script = (name: string, text: string, more: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    restartPolicy: 'Never',
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'main', image: 'busybox', command: ['sh', '-c', text], ...more }],
  },
});

export const map = (name: string, data: object = {}, metadata: object = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, ...metadata },
  data,
});
