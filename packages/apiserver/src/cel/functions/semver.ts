/** Semantic versions: `semver('1.2.3').isLessThan(semver('2.0.0'))`. Source: apiserver `cel/library/semverlib` (v0.33); semver.org 2.0.0. */
import type { CelEnvironment } from '../expression.js';

const type = 'kubernetes.Semver';
const number = '(?:0|[1-9]\\d*)';
const identifiers = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const strict = new RegExp(`^(${number})\\.(${number})\\.(${number})(?:-(${identifiers}))?(?:\\+(${identifiers}))?$`);

class Semver {
  constructor(
    readonly numbers: readonly [bigint, bigint, bigint],
    readonly prerelease: readonly string[],
  ) {}
}

function read(text: string): Semver | undefined {
  const match = text.length > 256 ? null : strict.exec(text);
  if (!match) return undefined;
  const prerelease = match[4]?.split('.') ?? [];
  if (prerelease.some(each => /^0\d+$/.test(each))) return undefined;
  return new Semver([BigInt(match[1]!), BigInt(match[2]!), BigInt(match[3]!)], prerelease);
}

/** `v1.2`, `01.2.3`: a leading v and zeros fall, missing parts are zero. */
function normalized(text: string): string {
  const [, version = '', rest = ''] = /^v?([^-+]*)(.*)$/.exec(text) ?? [];
  const parts = version.split('.');
  if (parts.length > 3 || !parts.every(each => /^\d+$/.test(each))) return text;
  while (parts.length < 3) parts.push('0');
  return `${parts.map(each => each.replace(/^0+(?=\d)/, '')).join('.')}${rest}`;
}

function semver(text: string, normalize = false): Semver {
  const version = read(normalize ? normalized(text) : text);
  if (!version) throw new Error(`semver parse error: ${JSON.stringify(text)} is no semantic version`);
  return version;
}

const sign = <T>(a: T, b: T): number => (a < b ? -1 : a > b ? 1 : 0);

function comparePrerelease(a: readonly string[], b: readonly string[]): number {
  // A release is above what led to it.
  if (a.length === 0 || b.length === 0) return sign(b.length, a.length);
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [left, right] = [a[i]!, b[i]!];
    const numeric = [/^\d+$/.test(left), /^\d+$/.test(right)];
    const order =
      numeric[0] && numeric[1]
        ? sign(BigInt(left), BigInt(right))
        : numeric[0] !== numeric[1]
          ? numeric[0]
            ? -1
            : 1
          : sign(left, right);
    if (order !== 0) return order;
  }
  return sign(a.length, b.length);
}

function compare(a: Semver, b: Semver): number {
  for (let i = 0; i < 3; i++) {
    const order = sign(a.numbers[i]!, b.numbers[i]!);
    if (order !== 0) return order;
  }
  return comparePrerelease(a.prerelease, b.prerelease);
}

export function semverFunctions(environment: CelEnvironment): void {
  environment
    .registerType(type, { ctor: Semver, fields: {} })
    .registerFunction(`semver(string): ${type}`, (text: string) => semver(text))
    .registerFunction(`semver(string, bool): ${type}`, semver)
    .registerFunction('isSemver(string): bool', (text: string) => read(text) !== undefined)
    .registerFunction(
      'isSemver(string, bool): bool',
      (text: string, normalize: boolean) => read(normalize ? normalized(text) : text) !== undefined,
    )
    .registerFunction(`${type}.isGreaterThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) > 0)
    .registerFunction(`${type}.isLessThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) < 0)
    .registerFunction(`${type}.compareTo(${type}): int`, (a: Semver, b: Semver) => BigInt(compare(a, b)))
    .registerFunction(`${type}.major(): int`, (a: Semver) => a.numbers[0])
    .registerFunction(`${type}.minor(): int`, (a: Semver) => a.numbers[1])
    .registerFunction(`${type}.patch(): int`, (a: Semver) => a.numbers[2])
    .registerOperator(`${type} == ${type}`, (a: Semver, b: Semver) => compare(a, b) === 0);
}
