/**
 * Images for a Docker daemon that has none: one root file system of the machine's busybox, Python and Node with the example's stand-ins,
 * and the names that older manifests use on top of it. A name that the daemon has already is left alone; what was made here is removed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const base = 'orbitkit/minik8s-base:test';
const example = fileURLToPath(new URL('../../examples/minik8s/', import.meta.url));
const applets = 'sh sleep cat echo mkdir touch test ls env printf ifconfig'.split(' ');

/** What stands for each image: lines of a Dockerfile. */
const images: Readonly<Record<string, readonly string[]>> = {
  ...Object.fromEntries(
    ['python:3.7-alpine', 'python:3.9-slim', 'python:3.11-alpine'].map(name => [name, ['CMD ["python3"]']]),
  ),
  'ubuntu:bionic': ['CMD ["sh"]'],
  nginx: [
    'WORKDIR /usr/share/nginx/html',
    // A shell as first process would not pass the signal on.
    'CMD ["python3", "-m", "http.server", "80"]',
  ],
  '7143192/fileserver': ['CMD ["node", "/programs/file-server.js"]'],
  '7143192/downloader': ['CMD ["node", "/programs/file-server.js", "--download"]'],
  'jackhel0/httpserver': ['WORKDIR /httpserver', 'CMD ["python3", "server.py"]'],
  'lwsg/notice-server': ['CMD ["node", "/programs/notice-server.js"]'],
  'lwsg/debug-server': ['CMD ["sleep", "infinity"]'],
};

/** Why Docker cannot be tested here; undefined when it can. Its pods must be reached from where we are. */
export function whyNoDocker(): string | undefined {
  if (process.geteuid?.() !== 0) return 'services of Docker pods need root';
  if (!process.env['DOCKER_HOST'])
    return 'DOCKER_HOST is not set: start dockerd in a network namespace, and run the tests in it';
  const asked = spawnSync('docker', ['network', 'inspect', 'bridge', '-f', '{{(index .IPAM.Config 0).Gateway}}'], {
    encoding: 'utf8',
  });
  if (asked.status !== 0) return `no Docker daemon answers (apt-get install docker.io): ${asked.stderr || asked.error}`;
  const gateway = asked.stdout.trim();
  // Node leaves out a bridge without a container on it.
  const ours = spawnSync('ip', ['-4', '-o', 'address'], { encoding: 'utf8' }).stdout ?? '';
  if (!ours.includes(` ${gateway}/`)) return `the daemon's bridge ${gateway} is in another network namespace`;
  return existsSync('/bin/busybox') ? undefined : 'busybox is missing: apt-get install busybox-static';
}

const docker = (words: readonly string[], input?: string) =>
  execFileSync('docker', words, { encoding: 'utf8', input: input ?? '', stdio: ['pipe', 'pipe', 'pipe'] });
const present = (name: string) => spawnSync('docker', ['image', 'inspect', name], { stdio: 'ignore' }).status === 0;

/** Removes what the agents below this directory left, which would be taken over by the next. */
export function removeContainers(dataDirs: readonly string[]): void {
  for (const dataDir of dataDirs) {
    // The Docker runtime's default owner.
    const owner = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
    const filter = `label=io.orbitkit.owner=${owner}`;
    const running = docker(['ps', '-q', '--filter', filter]).trim();
    const ids = docker(['ps', '-aq', '--filter', filter]).split('\n').filter(Boolean);
    if (ids.length > 0) docker(['rm', '-f', '-v', ...ids]);
    if (running) throw new Error(`containers of ${dataDir} ran on: ${running.replaceAll('\n', ' ')}`);
  }
}

/** Makes what is missing. The answer takes it away again. */
export function makeImages(): () => void {
  const made: string[] = [];
  const remove = () => {
    for (const name of made.splice(0).reverse()) docker(['image', 'rm', name]);
  };
  try {
    if (present(base))
      throw new Error(`image ${base} is there: another run makes it, or was killed; docker image rm ${base}`);
    importBase();
    made.push(base);
    for (const [name, lines] of Object.entries(images)) {
      if (present(name)) continue;
      docker(['build', '-q', '-t', name, '-'], [`FROM ${base}`, `LABEL stand-in="${name}"`, ...lines].join('\n'));
      made.push(name);
    }
  } catch (error) {
    remove();
    throw error;
  }
  return remove;
}

function importBase(): void {
  const root = mkdtempSync(join(tmpdir(), 'minik8s-rootfs-'));
  const copy = (from: string, to = from) => {
    mkdirSync(dirname(join(root, to)), { recursive: true });
    cpSync(from, join(root, to), { recursive: true, dereference: true });
  };
  /** A program with the libraries that it is linked to. */
  const program = (path: string, name: string) => {
    copy(path, `/bin/${name}`);
    libraries(path);
  };
  const libraries = (...paths: string[]) => {
    const linked = spawnSync('ldd', paths, { encoding: 'utf8' }).stdout;
    for (const [, found, loader] of linked.matchAll(/=> (\/\S+)|^\s(\/\S+)/gm)) {
      const library = (found ?? loader)!;
      if (!existsSync(join(root, library))) copy(library);
    }
  };
  try {
    for (const folder of ['bin', 'tmp', 'etc', 'proc', 'dev', 'sys', 'usr/share/nginx/html']) {
      mkdirSync(join(root, folder), { recursive: true });
    }
    copy('/bin/busybox');
    for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
    program(process.execPath, 'node');
    const [python = '', stdlib = '', dynload = ''] = execFileSync(
      'python3',
      [
        '-c',
        'import sys, sysconfig, os; p = sysconfig.get_path("stdlib"); print(os.path.realpath(sys.executable), p, os.path.join(p, "lib-dynload"), sep="\\n")',
      ],
      { encoding: 'utf8' },
    ).split('\n');
    // Python finds its library beside its own path.
    copy(python);
    libraries(python);
    for (const name of ['python3', 'python']) symlinkSync(python, join(root, 'bin', name));
    const left =
      /^(test|site-packages|dist-packages|__pycache__|idlelib|tkinter|turtledemo|ensurepip|config-.*|lib2to3|pydoc_data)$/;
    cpSync(stdlib, join(root, stdlib), {
      recursive: true,
      dereference: true,
      filter: path => !left.test(basename(path)),
    });
    libraries(...readdirSync(dynload).map(name => join(dynload, name)));
    for (const name of ['notice-server', 'file-server']) {
      copy(join(example, `dist/programs/${name}.js`), `/programs/${name}.js`);
    }
    // The programs are modules.
    execFileSync('sh', [
      '-c',
      `echo '{"type":"module"}' > '${root}/programs/package.json'; echo '<h1>Welcome</h1>' > '${root}/usr/share/nginx/html/index.html'`,
    ]);
    copy(join(example, 'images/httpserver/server.py'), '/httpserver/server.py');
    execFileSync('sh', ['-c', `tar -C '${root}' -c . | docker import -c 'ENV PATH=/bin' - ${base}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}
