/**
 * One owner for a data directory. Each claimant writes a claim under a name of its own, then looks at the other claims: it owns the
 * directory when no other living process has one. Of two that start together at least one sees the other, so there are never two
 * owners. A claim names process id, start time and boot, so the claim of a killed owner (also with `kill -9`, also when its id was
 * given out again) is recognised and removed.
 *
 * What it cannot see: owners on another machine or in another pid namespace with the same directory. A claim from a pid namespace
 * other than ours is respected while its owner keeps touching it.
 */
import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { StoreUnavailableError } from '../contract.js';

interface Claim {
  pid: number;
  /** Field 22 of `/proc/PID/stat`: clock ticks since boot; empty where there is no /proc. */
  started: string;
  boot: string;
  /** The pid namespace, as `/proc/self/ns/pid` links to it. */
  namespace: string;
  host: string;
}

const claimName = /^owner-[0-9a-f]+\.lock$/;
const touchEveryMs = 5_000;
/** A claim that cannot be checked is dead when it was not touched for this long. */
const untouchedMs = 4 * touchEveryMs;
const attempts = 5;

export async function lockDirectory(directory: string): Promise<{ release(): Promise<void> }> {
  const own = await describe(process.pid);
  const file = path.join(directory, `owner-${randomBytes(8).toString('hex')}.lock`);
  for (let attempt = 1; ; attempt++) {
    await writeClaim(file, own);
    const other = await livingClaim(directory, file, own);
    if (other === undefined) break;
    await fs.rm(file, { force: true });
    // Two that start together may each see the other: step back for a random moment, then the one that is alone wins.
    if (attempt === attempts) {
      throw new StoreUnavailableError(
        `the data directory ${directory} is in use by process ${other.claim.pid} on ${other.claim.host}: stop that process first, ` +
          `or remove ${other.file} when it certainly does not run any more`,
      );
    }
    await new Promise(resolve => setTimeout(resolve, 2 + Math.random() * 20 * attempt));
  }
  const touch = setInterval(() => {
    const now = new Date();
    fs.utimes(file, now, now).catch(() => undefined);
  }, touchEveryMs);
  touch.unref();
  return {
    async release() {
      clearInterval(touch);
      await fs.rm(file, { force: true });
    },
  };
}

/** Under a temporary name first: others never see half a claim. */
async function writeClaim(file: string, claim: Claim): Promise<void> {
  await fs.writeFile(`${file}.new`, JSON.stringify(claim), { mode: 0o600 });
  await fs.rename(`${file}.new`, file);
}

async function livingClaim(
  directory: string,
  ownFile: string,
  own: Claim,
): Promise<{ claim: Claim; file: string } | undefined> {
  for (const name of await fs.readdir(directory)) {
    const file = path.join(directory, name);
    if (name.endsWith('.lock.new')) await removeAbandoned(file);
    if (!claimName.test(name) || file === ownFile) continue;
    try {
      const claim = JSON.parse(await fs.readFile(file, 'utf8')) as Claim;
      if (await lives(claim, file, own)) return { claim, file };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      // Not a claim: written whole or not at all, so the machine lost it half way; its owner did not survive that.
      if (!(error instanceof SyntaxError)) throw error;
    }
    await fs.rm(file, { force: true });
  }
  return undefined;
}

/** Half a claim whose writer died. One that is being written now is left alone. */
async function removeAbandoned(file: string): Promise<void> {
  const age = await fs.stat(file).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  );
  if (age > untouchedMs) await fs.rm(file, { force: true });
}

async function lives(claim: Claim, file: string, own: Claim): Promise<boolean> {
  if (claim.boot !== own.boot) return false;
  if (claim.namespace !== own.namespace) return Date.now() - (await fs.stat(file)).mtimeMs < untouchedMs;
  try {
    process.kill(claim.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return claim.started === (await startTime(claim.pid));
}

async function describe(pid: number): Promise<Claim> {
  const [started, boot, namespace] = await Promise.all([
    startTime(pid),
    fs.readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
      text => text.trim(),
      () => '',
    ),
    fs.readlink('/proc/self/ns/pid').catch(() => ''),
  ]);
  return { pid, started, boot, namespace, host: os.hostname() };
}

async function startTime(pid: number): Promise<string> {
  try {
    const stat = await fs.readFile(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses and may hold anything; field 22 is the twentieth after it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}
