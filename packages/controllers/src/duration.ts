/** Durations as people write them, in the notation of Go and of Kubernetes' own configuration: `1h30m`, `90s`, `500ms`. */
const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const part = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/** Milliseconds. A number is milliseconds already. @throws TypeError for any other text. */
export function milliseconds(duration: string | number): number {
  if (typeof duration === 'number') return duration;
  let rest = duration;
  let sum = 0;
  for (const [text, count, unit] of duration.matchAll(part)) {
    if (!rest.startsWith(text)) break;
    rest = rest.slice(text.length);
    sum += Number(count) * units[unit!]!;
  }
  if (duration === '' || rest !== '')
    throw new TypeError(`"${duration}" is not a duration: write 90s, 5m, 1h30m or 500ms`);
  return sum;
}
