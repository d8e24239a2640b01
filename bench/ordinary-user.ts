/**
 * The process runtime without root is what most people run first, so that is what is measured: as root, this program is started again as
 * an ordinary user (65534) with a home of its own.
 */
import { spawnSync } from 'node:child_process';
import { chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const user = 65_534;

/** @returns whether an ordinary user has done the work, in which case nothing is left to do here but to end. */
export function ranAsOrdinaryUser(): boolean {
  if (process.geteuid?.() !== 0) return false;
  const home = mkdtempSync(join(tmpdir(), 'orbitkit-bench-home-'));
  try {
    chownSync(home, user, user);
    const identity = ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];
    const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
    const { status, error } = spawnSync('setpriv', [...identity, 'env', `HOME=${home}`, ...program], {
      stdio: 'inherit',
      cwd: home,
    });
    if (error) throw new Error(`setpriv (util-linux) is needed to measure as an ordinary user: ${error.message}`);
    process.exitCode = status ?? 1;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
  return true;
}
