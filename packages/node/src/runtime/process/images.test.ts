/** What the catalogue's images do when they run, without root: servers, Python, host ports, volumes. */
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { bundle, runtimePrograms } from '../../testing/bundle.js';
import { Laboratory } from '../conformance/laboratory.js';
import type { Subject } from '../conformance/subject.js';
import { processRuntime } from './process-runtime.js';
import { processSubject } from './testing/subject.js';

let folder: string;
let programDirectory: string;
let subject: Subject;
let lab: Laboratory;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'images-'));
  programDirectory = await bundle(folder, runtimePrograms);
  subject = await processSubject({ mode: 'rootless', programDirectory, podCIDR: '127.91.6.0/24' });
});
afterAll(async () => {
  await subject.cleanup();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(() => {
  lab = new Laboratory(subject);
});
afterEach(() => lab[Symbol.asyncDispose]());

const port = (containerPort: number) => ({ ports: [{ containerPort, protocol: 'TCP' as const }] });

function get(ip: string, number: number, path = '/'): Promise<{ status: number; text: string }> {
  return lab.eventually(`http://${ip}:${number}${path}`, async () => {
    try {
      const response = await fetch(`http://${ip}:${number}${path}`);
      return { status: response.status, text: await response.text() };
    } catch {
      return undefined;
    }
  });
}

it('orbitkit/echo answers with the name of its pod, on its first containerPort or 8080', async () => {
  const one = await lab.sandbox({ name: 'hello' });
  const id = await lab.started(
    one,
    { image: 'orbitkit/echo:7' },
    { ...port(9_090), env: [{ name: 'COLOUR', value: 'blue' }] },
  );
  const two = await lab.sandbox({ name: 'world' });
  await lab.started(two, { image: 'orbitkit/echo' });
  expect((await get(one.ip!, 9_090)).text).toBe('hello\n');
  expect((await get(two.ip!, 8_080)).text).toBe('world\n');
  expect((await get(one.ip!, 9_090, '/healthz')).text).toBe('ok\n');
  const env = JSON.parse((await get(one.ip!, 9_090, '/env')).text);
  expect(env).toMatchObject({ COLOUR: 'blue', PORT: '9090', POD_IP: one.ip, HOSTNAME: 'hello' });
  expect(Object.keys(env).sort()).toEqual(
    [
      'COLOUR',
      'HOME',
      'HOST',
      'HOSTNAME',
      'ORBIT_CONTAINER_ID',
      'ORBIT_POD',
      'ORBIT_ROOT',
      'PATH',
      'POD_IP',
      'PORT',
    ].sort(),
  );
  await lab.runtime.stopContainer(id, 5_000);
  expect((await lab.runtime.containerStatus(id)).exitCode).toBe(0);
});

it('nginx is a static server that serves a volume, and nothing beside it', async () => {
  const pages = await mkdtemp(join(subject.logDirectory, 'pages-'));
  await writeFile(join(pages, 'index.html'), 'my page');
  await mkdir(join(pages, 'sub'));
  await writeFile(join(pages, 'sub', 'data.json'), '{}');
  const sandbox = await lab.sandbox();
  const mounts = [{ hostPath: pages, containerPath: '/usr/share/nginx/html', readOnly: true }];
  await lab.started(sandbox, { image: 'nginx:1.25' }, { mounts, ...port(8_081) });
  expect(await get(sandbox.ip!, 8_081)).toEqual({ status: 200, text: 'my page' });
  expect(await get(sandbox.ip!, 8_081, '/sub/data.json')).toEqual({ status: 200, text: '{}' });
  for (const path of ['/sub', '/nothing', '/..%2f..%2f..%2f..%2fetc/passwd', '/%ff']) {
    expect((await get(sandbox.ip!, 8_081, path)).status, path).toBe(404);
  }
  const plain = await lab.sandbox();
  await lab.started(plain, { image: 'docker.io/library/nginx' }, port(8_082));
  expect((await get(plain.ip!, 8_082)).text).toContain('stands in for nginx');
});

it('python is the real Python of this machine, by both names', async () => {
  const sandbox = await lab.sandbox();
  const command = ['python', '-c', 'import sys, os; print(sys.version_info[0], os.environ["POD_IP"])'];
  const id = await lab.started(sandbox, { image: 'python:3.12', command });
  expect((await lab.exited(id)).exitCode).toBe(0);
  expect(await lab.log(id, text => text.includes(sandbox.ip!))).toContain(` F 3 ${sandbox.ip}`);
});

it('volumes lie in the working directory under their mount path, and ORBIT_ROOT says where', async () => {
  const volume = await mkdtemp(join(subject.logDirectory, 'volume-'));
  const sandbox = await lab.sandbox();
  const script = 'echo "$0 wrote" > "$ORBIT_ROOT/var/data/word" && cat var/data/word && test "$PWD" = "$ORBIT_ROOT"';
  const id = await lab.started(
    sandbox,
    { image: 'busybox', command: ['sh', '-c', script, 'pod'] },
    { mounts: [{ hostPath: volume, containerPath: '/var/data', readOnly: false }] },
  );
  expect((await lab.exited(id)).exitCode).toBe(0);
  expect(await readFile(join(volume, 'word'), 'utf8')).toBe('pod wrote\n');
  await lab.runtime.removeContainer(id);
  expect(await readFile(join(volume, 'word'), 'utf8')).toBe('pod wrote\n');
});

it('a host port passes on to the pod, and a taken one is refused', async () => {
  const taken = createServer();
  await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
  const { port: busy } = taken.address() as { port: number };
  const mapping = (hostPort: number) => [
    { containerPort: 8_083, hostPort, hostIP: '127.0.0.1', protocol: 'TCP' as const },
  ];
  await expect(lab.sandbox({ portMappings: mapping(busy) })).rejects.toMatchObject({ reason: 'InvalidConfig' });
  await new Promise(resolve => taken.close(resolve));
  const sandbox = await lab.sandbox({ name: 'mapped', portMappings: mapping(busy) });
  await lab.started(sandbox, { image: 'orbitkit/echo' }, port(8_083));
  await get(sandbox.ip!, 8_083);
  expect((await get('127.0.0.1', busy)).text).toBe('mapped\n');
  await lab.runtime.stopSandbox(sandbox.id);
  await expect(fetch(`http://127.0.0.1:${busy}`)).rejects.toThrow();
});

it('what it cannot give is refused with a reason', async () => {
  const sandbox = await lab.sandbox();
  const create = (changes: object) => lab.created(sandbox, { image: 'busybox' }, changes);
  await expect(create({ user: { uid: 12_345 } })).rejects.toThrow(/cannot change it/);
  await expect(create({ privileged: true })).rejects.toThrow(/as root/);
  await expect(create({ mounts: [{ hostPath: '/tmp', containerPath: '/', readOnly: false }] })).rejects.toThrow(
    /root directory/,
  );
  await expect(lab.sandbox({ sysctls: { 'net.core.somaxconn': '1' } })).rejects.toThrow(/as root only/);
  await expect(lab.sandbox({ podCIDR: '10.1.2.0/24' })).rejects.toThrow(/127\.0\.0\.0\/8/);
  expect(await lab.runtime.listContainers(sandbox.id)).toEqual([]);
});

it('a working directory that is not there is said, not the program', async () => {
  const sandbox = await lab.sandbox();
  const id = await lab.created(sandbox, { image: 'busybox', command: ['true'] }, { workingDir: '/no/such/place' });
  await expect(lab.runtime.startContainer(id)).rejects.toThrow('the working directory /no/such/place does not exist');
  const file = join(subject.logDirectory, 'text');
  await writeFile(file, 'no program');
  const text = await lab.created(sandbox, { image: 'busybox', command: [file] }, { name: 'text' });
  await expect(lab.runtime.startContainer(text)).rejects.toThrow(/not an executable file/);
});

it('a container with a terminal has one, and hears SIGTERM', async () => {
  const sandbox = await lab.sandbox();
  const script = 'trap "exit 3" TERM; test -t 0 && test -t 1 && echo terminal; while :; do sleep 0.05; done';
  const id = await lab.started(
    sandbox,
    { image: 'busybox', command: ['sh', '-c', script] },
    { tty: true, stdin: true },
  );
  await lab.log(id, text => text.includes('terminal'));
  const before = Date.now();
  await lab.runtime.stopContainer(id, 10_000);
  expect(Date.now() - before).toBeLessThan(5_000);
  expect((await lab.runtime.containerStatus(id)).exitCode).toBe(3);
});

it.each([200_000, 400_000, 600_000, 900_000])(
  'of %i bytes of an exec nothing is lost to a client that is behind',
  async size => {
    const { id } = await lab.pod({ image: 'busybox', command: ['sleep', '600'] });
    let came = 0;
    let first = true;
    const exitCode = await lab.runtime.exec(id, {
      command: ['head', '-c', `${size}`, '/dev/zero'],
      tty: false,
      onStderr: () => undefined,
      onStdout: chunk => {
        came += chunk.length;
        if (!first) return undefined;
        first = false;
        // Longer than the runtime waits for descendants that hold the pipe.
        return new Promise(resolve => setTimeout(resolve, 2_500));
      },
    });
    expect([exitCode, came]).toEqual([0, size]);
  },
);

it.skipIf(process.getuid?.() !== 0)('a directory of another user is refused', async () => {
  const dataDir = await mkdtemp(join(folder, 'strange-'));
  await mkdir(join(dataDir, 'process-runtime'));
  await chown(join(dataDir, 'process-runtime'), 65_534, 65_534);
  await chmod(join(dataDir, 'process-runtime'), 0o777);
  const runtime = processRuntime({ dataDir, mode: 'rootless', programDirectory });
  await expect(runtime.version()).rejects.toThrow(/belongs to user 65534/);
  await runtime.close();
});

it('a data directory with a path longer than a socket may have works', async () => {
  const dataDir = join(folder, 'long-'.repeat(12), 'longer-'.repeat(12));
  const runtime = processRuntime({ dataDir, mode: 'rootless', programDirectory });
  expect((await runtime.version()).name).toBe('process');
  await runtime.shutdown();
});

it('missing programs are said, with what to do', async () => {
  const runtime = processRuntime({ dataDir: join(folder, 'none'), mode: 'rootless', programDirectory: '/nowhere' });
  await expect(runtime.version()).rejects.toThrow(/npm run build/);
});
