/**
 * Why a WebSocket was refused, kept for a moment: kubectl answers any failed handshake by trying SPDY/3.1 on the same URL and shows only what
 * that one is told. Without this, "container not found" would reach a person as "SPDY is not supported".
 */
import type { Clock, StatusError } from '@orbitkit/core';

export interface Refusals {
  note(key: string, error: StatusError): void;
  /** What was noted under this key within the last seconds. */
  recent(key: string): StatusError | undefined;
}

const lifeMs = 10_000;
const most = 256;

export function refusals(clock: Clock): Refusals {
  const noted = new Map<string, { error: StatusError; at: number }>();
  return {
    note(key, error) {
      noted.delete(key);
      noted.set(key, { error, at: clock.now() });
      if (noted.size > most) noted.delete(noted.keys().next().value!);
    },
    recent(key) {
      const found = noted.get(key);
      return found !== undefined && clock.now() - found.at < lifeMs ? found.error : undefined;
    },
  };
}
