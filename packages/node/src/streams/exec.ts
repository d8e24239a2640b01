/**
 * exec and attach: joins a runtime's streams with a client's, and says at the end how it went: Success, NonZeroExitCode with the code,
 * or what failed. A client that leaves ends the command; one that reads slowly slows it down.
 */
import { StatusError } from '@orbitkit/core';
import type { ExecRequest } from '../runtime/contract.js';
import type { Outcome, RemoteStreams } from './remote-streams.js';

/** @param run Runs the command (or attaches) and resolves to the exit code. */
export async function serveStreams(
  streams: RemoteStreams,
  tty: boolean,
  run: (request: Omit<ExecRequest, 'command'>) => Promise<number>,
): Promise<void> {
  const { stdin, resize, signal } = streams;
  let outcome: Outcome;
  try {
    const exitCode = await run({
      tty,
      signal,
      onStdout: chunk => streams.stdout(chunk),
      onStderr: chunk => streams.stderr(chunk),
      ...(stdin ? { stdin } : {}),
      ...(resize ? { resize } : {}),
    });
    outcome = outcomeOf(exitCode);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    outcome = new StatusError('InternalError', message).toStatus();
  }
  streams.finish(outcome);
}

function outcomeOf(exitCode: number): Outcome {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}
