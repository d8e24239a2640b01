/** The process runtime passes the suite, without root and with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { runtimeConformance } from '../conformance/index.js';
import { whyNotRoot } from './mode.js';
import { builtPrograms } from './testing/built-programs.js';
import { processSubject, processWorkloads } from './testing/subject.js';

let folder: string;
let programDirectory: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'built-'));
  programDirectory = await builtPrograms(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const runner = { describe, it, beforeAll, afterAll };

runtimeConformance(
  {
    name: 'process, rootless mode',
    workloads: processWorkloads,
    capabilities: process.getuid?.() === 0 ? ['attach', 'port-forward', 'low-ports'] : ['attach', 'port-forward'],
    create: () => processSubject({ mode: 'rootless', programDirectory, podCIDR: '127.91.3.0/24' }),
  },
  runner,
);

const because = whyNotRoot();
if (because) describe.skip(`runtime conformance: process, root mode (${because})`, () => it('skipped', () => {}));
else {
  runtimeConformance(
    {
      name: 'process, root mode',
      workloads: processWorkloads,
      capabilities: [
        'private-localhost',
        'private-ports',
        'low-ports',
        'mount-paths',
        'cpu-limits',
        'memory-limits',
        'attach',
        'port-forward',
      ],
      create: () => processSubject({ mode: 'root', programDirectory, podCIDR: '10.213.7.0/24' }),
    },
    runner,
  );
}
