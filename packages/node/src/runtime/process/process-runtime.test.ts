/**
 * The process runtime passes the suite: as this user, as an ordinary one, and as root in a network namespace of its own.
 */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle, runtimePrograms } from '../../testing/bundle.js';
import { type Place, runProgram } from '../../testing/run-program.js';
import { runtimeConformance } from '../conformance/index.js';
import type { Capability } from '../contract.js';
import { whyNotRoot } from './mode.js';
import { processSubject, processWorkloads } from './testing/subject.js';
import { survivalClauses } from './testing/survival.js';

let folder: string;
let programDirectory: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'built-'));
  await chmod(folder, 0o755);
  programDirectory = await bundle(folder, {
    ...runtimePrograms,
    'conformance-main': 'runtime/process/testing/conformance-main',
    'agent-main': 'runtime/process/testing/agent-main',
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const rootless: Capability[] = ['attach', 'port-forward'];
const isRoot = process.getuid?.() === 0;
const suiteMs = 180_000;

const runner = { describe, it, beforeAll, afterAll };

runtimeConformance(
  {
    name: 'process, rootless mode',
    workloads: processWorkloads,
    capabilities: isRoot ? [...rootless, 'low-ports'] : rootless,
    create: () => processSubject({ mode: 'rootless', programDirectory, podCIDR: '127.91.3.0/24' }),
  },
  runner,
);
// The folder is made by then: clauses and their factories run later than this module.
survivalClauses(
  {
    mode: 'rootless',
    podCIDR: '127.91.5.0/24',
    get programDirectory() {
      return programDirectory;
    },
  },
  runner,
);

async function suite(place: Place, args: { mode: 'rootless' | 'root'; podCIDR: string; capabilities: Capability[] }) {
  const said = await runProgram(
    place,
    join(programDirectory, 'conformance-main.js'),
    { ...args, programDirectory },
    suiteMs,
  );
  const passed = Number(/^. pass (\d+)$/m.exec(said)?.[1]);
  expect(passed, said).toBeGreaterThan(50);
}

describe('the whole suite as a program', () => {
  it.skipIf(!isRoot)('passes as an ordinary user', { timeout: suiteMs }, () =>
    suite('as an ordinary user', { mode: 'rootless', podCIDR: '127.91.4.0/24', capabilities: rootless }),
  );

  const because = whyNotRoot();
  it.skipIf(because)(`passes as root${because ? ` (${because})` : ''}`, { timeout: suiteMs }, () =>
    suite('in its own network', {
      mode: 'root',
      podCIDR: '10.213.7.0/24',
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
    }),
  );
});
