/**
 * The forms of values that protobuf carries as numbers and JSON as text: times and durations.
 * Source: apimachinery `meta/v1` (Time with whole seconds, MicroTime with six digits), Go `time.Duration.String` and `ParseDuration`.
 */

/** Seconds of the years 0000 to 9999, all that RFC 3339 can say. */
const firstSecond = -62_167_219_200;
const lastSecond = 253_402_300_799;

/** `2026-01-02T03:04:05Z`, with six digits of the fraction when `micro`. Undefined for a time that has no text. */
export function timeText(seconds: number, nanos: number, micro: boolean): string | undefined {
  if (!(seconds >= firstSecond && seconds <= lastSecond) || nanos < 0 || nanos > 999_999_999) return undefined;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return micro
    ? `${whole}.${Math.floor(nanos / 1000)
        .toString()
        .padStart(6, '0')}Z`
    : `${whole}Z`;
}

/** @param text in UTC, as decoding makes it. */
export function timeOf(text: string): { seconds: number; nanos: number } {
  const seconds = Math.floor(Date.parse(`${text.slice(0, 19)}Z`) / 1000);
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? '';
  return { seconds, nanos: Number(fraction.slice(0, 9).padEnd(9, '0')) };
}

const second = 1_000_000_000n;

/** `1h0m0.5s`, `1.5ms`, `0s`. */
export function durationText(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return '0s';
  const sign = nanoseconds < 0n ? '-' : '';
  const total = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (total < second) {
    const [unit, size] = total < 1000n ? ['ns', 0] : total < 1_000_000n ? ['µs', 3] : ['ms', 6];
    return `${sign}${decimal(total, size as number)}${unit}`;
  }
  const minutes = total / (60n * second);
  const rest = `${decimal(total % (60n * second), 9)}s`;
  if (minutes === 0n) return sign + rest;
  const hours = minutes / 60n;
  return hours === 0n ? `${sign}${minutes}m${rest}` : `${sign}${hours}h${minutes % 60n}m${rest}`;
}

/** The point stands `digits` from the right; no zeros at the end. */
function decimal(value: bigint, digits: number): string {
  if (digits === 0) return value.toString();
  const text = value.toString().padStart(digits + 1, '0');
  const fraction = text.slice(-digits).replace(/0+$/, '');
  return fraction ? `${text.slice(0, -digits)}.${fraction}` : text.slice(0, -digits);
}

const unitDigits: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1000n,
  µs: 1000n,
  μs: 1000n,
  ms: 1_000_000n,
  s: second,
  m: 60n * second,
  h: 3600n * second,
};

/** Nanoseconds of a duration's text that is known to be one. */
export function durationOf(text: string): bigint {
  let total = 0n;
  for (const [, whole = '', fraction = '', unit = ''] of text.matchAll(/(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/g)) {
    const size = unitDigits[unit] ?? 0n;
    total += BigInt(whole || '0') * size;
    if (fraction) total += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
  }
  return text.startsWith('-') ? -total : total;
}
