/**
 * The conformance suite against a real daemon (`$DOCKER_HOST`, or the default socket). In CI a missing one is a failure; elsewhere these
 * tests are skipped, with the line that installs it. The image is made here from the machine's own busybox and Node.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import Docker from 'dockerode';
import * as vitest from 'vitest';
import { runtimeConformance, shellWorkloads, type Workloads } from '../conformance/index.js';
import { dockerRuntime } from './docker-runtime.js';

const image = 'orbitkit/conformance:1';
const available = spawnSync('docker', ['version'], { stdio: 'ignore' }).status === 0 && existsSync('/bin/busybox');
const mustRun = process.env.ORBITKIT_CI === '1';

/** A root file system of busybox and Node with the libraries that it needs. */
function importImage(): void {
  const root = mkdtempSync(join(tmpdir(), 'orbitkit-rootfs-'));
  try {
    for (const folder of ['bin', 'tmp', 'etc', 'proc', 'dev', 'sys']) mkdirSync(join(root, folder));
    cpSync('/bin/busybox', join(root, 'bin/busybox'));
    for (const name of ['sh', 'sleep', 'cat', 'printf', 'stty', 'kill', 'echo'])
      symlinkSync('busybox', join(root, 'bin', name));
    // Debian's busybox has no printenv.
    writeFileSync(join(root, 'bin/printenv'), '#!/bin/sh\neval "echo \\"\\$$1\\""\n', { mode: 0o755 });
    cpSync(process.execPath, join(root, 'bin/node'));
    const needed = execFileSync('ldd', [process.execPath], { encoding: 'utf8' });
    for (const [path] of needed.matchAll(/\/\S+\.so\S*/g)) {
      mkdirSync(join(root, dirname(path)), { recursive: true });
      cpSync(path, join(root, path), { dereference: true });
    }
    execFileSync('/bin/sh', ['-c', `tar -C '${root}' -c . | docker import -c 'ENV PATH=/bin' - ${image}`], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const withoutSelfKill = ({ killsItself: _no, ...workloads }: Workloads): Workloads => workloads;

if (available || mustRun) {
  runtimeConformance(
    {
      name: 'docker',
      capabilities: [
        'private-localhost',
        'mount-paths',
        'cpu-limits',
        'memory-limits',
        'private-ports',
        'low-ports',
        'root-filesystem',
        'attach',
        'port-forward',
      ],
      // The first process of a container cannot kill itself: the kernel keeps such signals from it.
      workloads: withoutSelfKill(
        shellWorkloads({
          image,
          unknownImage: '127.0.0.1:1/no/such:image',
          interpreter: { node: '/bin/node' },
        }),
      ),
      async create() {
        const docker = new Docker();
        await docker.getImage(image).inspect().catch(importImage);
        const dataDir = mkdtempSync(join(tmpdir(), 'orbitkit-docker-'));
        const owner = `test-${process.pid}`;
        const make = () => dockerRuntime({ dataDir, owner });
        const runtime = make();
        return {
          runtime,
          reopen: async () => make(),
          logDirectory: dataDir,
          podCIDR: '172.30.255.0/24',
          async cleanup() {
            await runtime.close();
            const left = await docker.listContainers({
              all: true,
              filters: JSON.stringify({ label: [`io.orbitkit.owner=${owner}`] }),
            });
            rmSync(dataDir, { recursive: true, force: true });
            if (left.length > 0) throw new Error(`left behind: ${left.map(each => each.Names.join()).join(', ')}`);
          },
        };
      },
    },
    vitest,
  );
} else {
  vitest.describe.skip(
    'runtime conformance: docker (needs a daemon: apt-get install docker.io busybox-static, then start dockerd)',
    () => {
      vitest.it('is skipped', () => {});
    },
  );
}
