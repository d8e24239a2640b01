// The README's first command as an ordinary user on a fresh copy: it must end by itself with exit code 0, within its bound, and leave nothing.
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// An account of nobody else's, so that what it leaves can be told from others' processes.
const user = { uid: 64321, gid: 64321 };
const boundMs = 90_000;
const folder = mkdtempSync(join(tmpdir(), 'orbitkit-demo-'));
let failed;
try {
  const home = join(folder, 'home');
  const copy = join(folder, 'orbitkit');
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', process.cwd(), copy]);
  // What a registry mirror needs of npm's own settings goes along; nothing of the project does.
  const npmrc = process.env.NPM_CONFIG_USERCONFIG ?? join(process.env.HOME ?? '/root', '.npmrc');
  execFileSync('mkdir', ['-p', home]);
  try {
    cpSync(npmrc, join(home, '.npmrc'));
  } catch {}
  execFileSync('chown', ['-R', `${user.uid}:${user.gid}`, folder]);
  execFileSync('chmod', ['755', folder]);
  const began = Date.now();
  const child = spawn('/bin/sh', ['-c', 'npm ci --no-audit --no-fund && npm run demo'], {
    cwd: copy,
    ...user,
    env: {
      ...process.env,
      HOME: home,
      NPM_CONFIG_CACHE: join(home, 'npm'),
      NPM_CONFIG_USERCONFIG: join(home, '.npmrc'),
      DOCKER_HOST: '',
      KUBECONFIG: '',
    },
    stdio: 'inherit',
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), boundMs * 2);
  const code = await new Promise(resolve => child.once('exit', (exit, signal) => resolve(exit ?? signal)));
  clearTimeout(timer);
  const seconds = (Date.now() - began) / 1000;
  console.log(`command one: exit code ${code}, ${seconds.toFixed(1)} s including the install`);
  if (code !== 0) failed = `exit code ${code}`;
  if (seconds > boundMs / 1000) failed = `it took ${seconds.toFixed(1)} s, the bound is ${boundMs / 1000} s`;
  // What has ended does not count: an orphan's entry stays, as a zombie, where the machine's first process reaps nobody.
  const left = execFileSync('/bin/sh', ['-c', `ps -u ${user.uid} -o pid=,stat=,args= || true`])
    .toString()
    .split('\n')
    .filter(line => line.trim() !== '' && !/^\s*\d+\s+Z/.test(line))
    .join('\n');
  if (left) failed = `it left processes behind:\n${left}`;
} finally {
  execFileSync('/bin/sh', ['-c', `pkill -KILL -u ${user.uid} || true`]);
  rmSync(folder, { recursive: true, force: true });
}
if (failed) throw new Error(failed);
