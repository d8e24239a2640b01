/**
 * Times as the API writes them: RFC 3339 in UTC, `Time` in whole seconds, `MicroTime` with six digits of fraction.
 */

/** Objects that are written within one second share its text. */
let formattedSecond = Number.NaN;
let formatted = '';

/** `metav1.Time`: `2026-01-02T03:04:05Z`. */
export function formatTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== formattedSecond) {
    formatted = `${new Date(ms).toISOString().slice(0, 19)}Z`;
    formattedSecond = second;
  }
  return formatted;
}

/** `metav1.MicroTime`: `2026-01-02T03:04:05.678000Z`. A Lease without six digits is refused by a real server. */
export function formatMicroTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

/** Milliseconds since 1970, or undefined when the text is absent or not a time. */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
