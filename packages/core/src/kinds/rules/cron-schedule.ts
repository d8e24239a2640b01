/**
 * The form of a CronJob's schedule: minute, hour, day of month, month, day of week, or a word such as `@daily` or `@every 90m`.
 * Only the form: when it is due is the controller's question. Rules and texts: robfig/cron `ParseStandard` (v3).
 */
interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
];
const words = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const duration = /^[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$/;

/** What is wrong with a schedule of five fields, a word such as `@daily`, or `@every 90m`, in the words of robfig/cron v3; undefined: nothing. */
export function cronProblem(schedule: string): string | undefined {
  const zone = /^(?:TZ|CRON_TZ)=(\S*)\s+(.*)$/.exec(schedule);
  const text = (zone ? zone[2]! : schedule).trim();
  if (text === '') return 'empty spec string';
  if (text.startsWith('@')) return wordProblem(text);
  const given = text.split(/\s+/);
  if (given.length !== 5) return `expected exactly 5 fields, found ${given.length}: [${given.join(' ')}]`;
  for (const [index, field] of given.entries())
    for (const part of field.split(',')) {
      const problem = part === '' ? undefined : rangeProblem(part, fields[index]!);
      if (problem) return problem;
    }
  return undefined;
}

function wordProblem(text: string): string | undefined {
  if (words.includes(text)) return undefined;
  if (!text.startsWith('@every ')) return `unrecognized descriptor: ${text}`;
  const span = text.slice('@every '.length);
  return duration.test(span)
    ? undefined
    : `failed to parse duration ${text}: time: invalid duration ${JSON.stringify(span)}`;
}

/** `*`, `5`, `1-5`, each with `/2`. */
function rangeProblem(text: string, bounds: Bounds): string | undefined {
  const [range, step, ...more] = text.split('/');
  if (more.length > 0) return `too many slashes: ${text}`;
  const [low, high, ...rest] = range!.split('-');
  if (rest.length > 0) return `too many hyphens: ${text}`;
  let start = bounds.min;
  let end = bounds.max;
  if (low !== '*' && low !== '?') {
    const first = numberOf(low!, bounds);
    if (typeof first === 'string') return first;
    start = first;
    end = step === undefined ? first : bounds.max;
    if (high !== undefined) {
      const last = numberOf(high, bounds);
      if (typeof last === 'string') return last;
      end = last;
    }
  }
  if (step !== undefined) {
    const by = numberOf(step, bounds, false);
    if (typeof by === 'string') return by;
    if (by === 0) return `step of range should be a positive number: ${text}`;
  }
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${text}`;
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return undefined;
}

/** A number, a name of the field, or what is wrong. */
function numberOf(text: string, { min, names }: Bounds, mayBeName = true): number | string {
  const named = mayBeName ? (names?.indexOf(text.toLowerCase()) ?? -1) : -1;
  if (named >= 0) return named + min;
  if (/^\d+$/.test(text)) return Number(text);
  if (/^-\d+$/.test(text)) return `negative number (${text}) not allowed: ${text}`;
  return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
}
