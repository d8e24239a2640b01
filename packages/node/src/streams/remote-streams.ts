/**
 * What exec and attach need of a connection, whichever protocol it speaks: the streams that the client asked for, and a last word.
 */
import type { metav1 } from '@orbitkit/core';

export interface StreamRequest {
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  tty: boolean;
}

export interface RemoteStreams {
  /** Present when it was asked for. Ends with the client's input, or with the connection. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** Terminal sizes as they change; with a tty only. */
  readonly resize?: AsyncIterable<TerminalSize>;
  /** A promise when the caller should wait: it resolves when there is room for more. Dropped when it was not asked for. */
  stdout(chunk: Uint8Array): Promise<void> | undefined;
  stderr(chunk: Uint8Array): Promise<void> | undefined;
  /** Says how it went, after all output, and ends the connection. */
  finish(status: Outcome): void;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
}

export type Outcome = Pick<metav1.Status, 'status' | 'reason' | 'message' | 'details' | 'metadata' | 'code'>;

export interface TerminalSize {
  width: number;
  height: number;
}

/** Input that its reader has not taken yet. */
export const stdinHighWater = 1024 * 1024;

/**
 * `{"Width":91,"Height":33}`, one or several a message; the names in whatever case, as Go reads them (client-node's are small). What is not
 * that is ignored, as a terminal ignores noise.
 */
export function sizesIn(data: Buffer): TerminalSize[] {
  return (data.toString('utf8').match(/\{[^{}]*\}/g) ?? []).flatMap(text => {
    try {
      const fields = Object.entries(JSON.parse(text) as object);
      const [width, height] = ['width', 'height'].map(
        name => fields.find(([field]) => field.toLowerCase() === name)?.[1] as unknown,
      );
      const fits = (size: unknown): size is number =>
        Number.isInteger(size) && (size as number) > 0 && (size as number) < 65_536;
      return fits(width) && fits(height) ? [{ width, height }] : [];
    } catch {
      return [];
    }
  });
}

/** The last word in the form that the client's protocol has for it; undefined for none. */
export function outcomeText(status: Outcome, form: 'json' | 'text'): Buffer | undefined {
  if (form === 'json') return Buffer.from(JSON.stringify(status));
  return status.status === 'Success' ? undefined : Buffer.from(status.message ?? 'failed');
}
