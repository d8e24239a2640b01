/**
 * What a request may be at most, beside the size of its body: bounds on everything that costs more to handle than to send.
 *
 * - A target of 32 KiB (414) with 256 query parameters (400): selectors with hundreds of values fit.
 * - Bodies nested 256 levels deep (400): what reads objects walks them recursively, and no kind comes near a tenth of it but
 *   CustomResourceDefinitions with deep schemas.
 * - YAML of 128 KiB (413): its parser needs some microseconds a byte, and nothing else runs meanwhile. Clients send JSON or protobuf.
 * - Open streams: 20,000 in all and 5,000 of one user (429).
 */
import { badRequest, StatusError } from '@orbitkit/core';
import type { ApiRequest } from './exchange.js';

const maxTargetChars = 32 * 1024;
const maxParameters = 256;
const maxNesting = 256;
export const maxYamlBytes = 128 * 1024;
const maxStreams = 20_000;
const maxStreamsPerUser = 5_000;

/** @throws StatusError 414, 400 */
export function requireModestTarget({ path, query: { text } }: ApiRequest): void {
  if (path.length + text.length <= maxParameters) return;
  if (path.length + text.length > maxTargetChars)
    throw new StatusError('RequestURITooLong', `the URL is longer than ${maxTargetChars} characters`, { code: 414 });
  let parameters = 1;
  for (let at = text.indexOf('&'); at >= 0; at = text.indexOf('&', at + 1)) parameters++;
  if (parameters > maxParameters) throw badRequest(`the URL has more than ${maxParameters} query parameters`);
}

const isOpening = (byte: number) => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number) => byte === 0x7d || byte === 0x5d;

/**
 * Counts brackets outside of strings: of JSON exactly, of YAML's flow style nearly. @throws StatusError BadRequest
 */
export function requireShallow(bytes: Uint8Array): void {
  if (bytes.length <= 2 * maxNesting) return;
  let depth = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0x22) {
      for (at++; at < bytes.length && bytes[at] !== 0x22; at++) if (bytes[at] === 0x5c) at++;
    } else if (isOpening(byte)) {
      if (++depth > maxNesting) throw badRequest(`the body is nested deeper than ${maxNesting} levels`);
    } else if (isClosing(byte)) depth--;
  }
}

/** Lists in lists, keys of keys, written on one line: `- - - -`. The parser needs the square of their number. */
const nestedOnOneLine = /(?:[-?:][ \t]+){64}/;

/** @throws StatusError RequestEntityTooLarge, BadRequest */
export function requireModestYaml(bytes: Buffer): void {
  if (bytes.length > maxYamlBytes)
    throw new StatusError(
      'RequestEntityTooLarge',
      `a YAML body may have at most ${maxYamlBytes} bytes, this one has ${bytes.length}: send it as JSON`,
    );
  if (nestedOnOneLine.test(bytes.toString('latin1'))) throw badRequest('the YAML body is nested too deeply');
}

/** Counts open streams. */
export class StreamBounds {
  #all = 0;
  readonly #byUser = new Map<string, number>();

  /** Answers the end of it. @throws StatusError TooManyRequests */
  open(user: string): () => void {
    const own = this.#byUser.get(user) ?? 0;
    if (own >= maxStreamsPerUser || this.#all >= maxStreams)
      throw new StatusError(
        'TooManyRequests',
        own >= maxStreamsPerUser
          ? `${user} has ${own} watches and other streams open, which is as many as one user may`
          : `${this.#all} streams are open, which is as many as this server serves`,
        { details: { retryAfterSeconds: 5 } },
      );
    this.#all++;
    this.#byUser.set(user, own + 1);
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#all--;
      const left = this.#byUser.get(user)! - 1;
      if (left > 0) this.#byUser.set(user, left);
      else this.#byUser.delete(user);
    };
  }
}
