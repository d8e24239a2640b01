/**
 * The text forms of scalars that JSON carries as strings: times, durations, quantities, base64.
 *
 * Each check answers the normal form, or undefined when the text is not of that form. Times are RFC 3339 with any
 * fraction and offset on the way in; on the way out UTC with whole seconds, MicroTime with six digits (apimachinery
 * `meta/v1`). Quantities keep the text they were written with.
 */
import { Quantity } from '../meta/quantity.js';

const timeForm = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?([Zz]|[+-]\d\d:\d\d)$/;

function isDate(year: number, month: number, day: number, hour: number, minute: number, second: number): boolean {
  if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
  if (day <= 28) return true;
  if (month === 2) return day === 29 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return day <= (month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31);
}

const digits = (text: string, at: number): number => (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48;

/** `2026-01-02T03:04:05Z`, or undefined when the text is no RFC 3339 time. */
export function normalTime(text: string): string | undefined {
  const match = timeForm.exec(text);
  if (!match) return undefined;
  const year = Number(match[1]);
  if (!isDate(year, digits(text, 5), digits(text, 8), digits(text, 11), digits(text, 14), digits(text, 17)))
    return undefined;
  if (text.length === 20 && text.endsWith('Z')) return text;
  return shifted(match, '')?.concat('Z');
}

/** `2026-01-02T03:04:05.000006Z`, or undefined when the text is no RFC 3339 time. */
export function normalMicroTime(text: string): string | undefined {
  const match = timeForm.exec(text);
  if (!match) return undefined;
  const year = Number(match[1]);
  if (!isDate(year, digits(text, 5), digits(text, 8), digits(text, 11), digits(text, 14), digits(text, 17)))
    return undefined;
  if (text.length === 27 && text.endsWith('Z')) return text;
  return shifted(match, `.${(match[7] ?? '').slice(0, 6).padEnd(6, '0')}`)?.concat('Z');
}

/** The second in UTC without its `Z`, then `fraction`. */
function shifted(match: RegExpExecArray, fraction: string): string | undefined {
  const local = Date.parse(`${match[0].slice(0, 10)}T${match[0].slice(11, 19)}Z`);
  const zone = match[8]!;
  let ahead = 0;
  if (zone.length > 1) {
    const [hours, minutes] = [digits(zone, 1), digits(zone, 4)];
    if (hours > 24 || minutes > 59) return undefined;
    ahead = (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
  }
  const utc = new Date(local - ahead * 60_000).toISOString();
  // Outside the years 0000 to 9999 ISO has a sign and six digits, which RFC 3339 has not.
  return utc.length === 24 ? utc.slice(0, 19) + fraction : undefined;
}

const durationForm = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;

/** Go's `time.Duration` text: `1h2m3.5s`. */
export function isDuration(text: string): boolean {
  return durationForm.test(text);
}

// What nearly every quantity looks like; for the others its own parser decides.
const plainQuantity = /^\d{1,15}(?:\.\d{1,9})?(?:[numkMGTPE]|[KMGTPE]i)?$/;

export function isQuantity(text: string): boolean {
  return plainQuantity.test(text) || Quantity.isQuantity(text);
}

/** Where base64 goes wrong (index of the character), or undefined when it is standard base64 with padding. Line ends are skipped. */
export function base64Fault(text: string): number | undefined {
  const fault = text.search(/[^A-Za-z0-9+/=\r\n]/);
  if (fault >= 0) return fault;
  const bare = /[\r\n]/.test(text) ? text.replace(/[\r\n]/g, '') : text;
  const padding = bare.indexOf('=');
  if (padding >= 0 && !/^={1,2}$/.test(bare.slice(padding))) return text.indexOf('=');
  return bare.length % 4 === 0 ? undefined : text.length;
}
