/** Runs a bundled test program to its end: as it is, as an ordinary user, or in a network namespace of its own. */
import { spawn } from 'node:child_process';

/** `nobody` of Debian and most others. */
const ordinaryUser = 65_534;

export type Place = 'here' | 'as an ordinary user' | 'in its own network';

const prefix: Record<Place, readonly string[]> = {
  here: [],
  'as an ordinary user': ['setpriv', `--reuid=${ordinaryUser}`, `--regid=${ordinaryUser}`, '--clear-groups', '--'],
  // With a /run of its own: network namespaces have their names there.
  'in its own network': [
    'unshare',
    '--net',
    '--mount',
    '--propagation=private',
    'sh',
    '-c',
    'ip link set lo up && mount -t tmpfs run /run && mkdir /run/netns && exec "$@"',
    'sh',
  ],
};

/** Rejects with everything that it said when it does not end with 0 in time. */
export function runProgram(place: Place, path: string, args: object, timeoutMs: number): Promise<string> {
  const [program = '', ...rest] = [...prefix[place], process.execPath, path, JSON.stringify(args)];
  return new Promise((resolve, reject) => {
    const child = spawn(program, rest, {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      env: { PATH: process.env['PATH'], TMPDIR: process.env['TMPDIR'] ?? '/tmp' },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        said += chunk;
      });
    }
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(said);
      else reject(new Error(`${path} ${place} ended with ${code ?? signal}:\n${said}`));
    });
  });
}
