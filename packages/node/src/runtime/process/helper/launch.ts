/**
 * Starts a program by a launch, and says either that it runs or why it does not.
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { RuntimeError } from '../../contract.js';
import { began, type Launch } from '../isolation/isolation.js';
import type { ReportPipe } from './output-pipe.js';

/** A chain that has not begun its program by then is ended. */
const beginMs = 30_000;

export interface Started {
  child: ChildProcess;
  pid: number;
  exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

/**
 * A launch that reports does so over the pipe that is given, or one of its own. @throws RuntimeError `StartFailed` with what
 * the system said.
 */
export async function startProgram(
  launch: Launch,
  env: Readonly<Record<string, string>>,
  stdio: [number | 'pipe' | 'ignore', number | 'pipe', number | 'pipe'],
  report?: ReportPipe,
): Promise<Started> {
  const [program = '', ...args] = launch.argv;
  const options: StdioOptions = launch.reports ? [...stdio, report?.descriptor ?? 'pipe'] : stdio;
  const child = spawn(program, args, { cwd: launch.cwd, env, stdio: options, detached: true });
  const exit: Started['exit'] = new Promise(resolve => child.once('exit', (code, signal) => resolve({ code, signal })));
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', error =>
        reject(new RuntimeError('StartFailed', startMessage(error, program, launch.cwd), { cause: error })),
      );
    });
  } finally {
    report?.release();
  }
  child.on('error', () => {});
  if (launch.reports) {
    const failure = await failureOf(child, report?.text ?? textOf(child.stdio[3] as Readable));
    if (failure !== undefined) {
      await exit;
      throw new RuntimeError('StartFailed', failure);
    }
  }
  return { child, pid: child.pid!, exit };
}

function startMessage(error: NodeJS.ErrnoException, program: string, cwd: string): string {
  if (error.code === 'ENOENT' && !existsSync(cwd)) return `the working directory ${cwd} does not exist`;
  if (error.code === 'ENOENT') return `${program}: no such program on this machine`;
  if (error.code === 'EACCES') return `${program}: not an executable file, or not for this user`;
  return `${program}: ${error.message}`;
}

/** Why the program did not begin, as the chain says on descriptor 3; undefined when it did. */
async function failureOf(child: ChildProcess, report: Promise<string>): Promise<string | undefined> {
  const timer = setTimeout(() => child.kill('SIGKILL'), beginMs);
  const text = (await report).trim();
  clearTimeout(timer);
  if (text.split('\n').at(-1) === began) return undefined;
  return text || `it ended before it began, or did not begin within ${beginMs} ms`;
}

async function textOf(pipe: Readable): Promise<string> {
  let text = '';
  try {
    for await (const chunk of pipe) text += chunk;
  } catch (error) {
    text ||= (error as Error).message;
  }
  return text;
}
