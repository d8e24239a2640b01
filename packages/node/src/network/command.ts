/**
 * Runs one of the system's programs (`ip`, `nft`, …) to its end, with what it said when it failed. Bounded in time.
 */
import { spawn } from 'node:child_process';

/** Debian's package of each program, for messages that tell what to do. */
const packages: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nft: 'nftables',
  iptables: 'iptables',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
  script: 'bsdutils',
  python3: 'python3',
};

export class CommandError extends Error {
  constructor(
    message: string,
    readonly stderr: string,
    readonly missing: boolean,
  ) {
    super(message);
    this.name = 'CommandError';
  }
}

export function installLine(program: string): string {
  return `install it, e.g. apt-get install -y ${packages[program] ?? program}`;
}

/** Resolves to stdout. @throws CommandError when the program is missing, ends with another code than 0, or takes too long. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const timeoutMs = options.timeoutMs ?? 15_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: timeoutMs, killSignal: 'SIGKILL' });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', chunk => {
      stdout += chunk;
    });
    child.stderr.on('data', chunk => {
      stderr += chunk;
    });
    // A program that ends without reading its input is judged by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(options.input ?? '');
    child.on('error', error => {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const text = missing
        ? `the program \`${program}\` is missing: ${installLine(program)}`
        : `${program}: ${error.message}`;
      reject(new CommandError(text, '', missing));
    });
    child.on('close', (code, signal) => {
      if (code === 0) return resolve(stdout);
      const why = signal ? `was ended by ${signal} after at most ${timeoutMs} ms` : `ended with ${code}`;
      reject(new CommandError(`${program} ${args.join(' ')} ${why}: ${stderr.trim()}`, stderr, false));
    });
  });
}
