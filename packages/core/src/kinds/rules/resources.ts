/**
 * Rules of resource requests and limits: known names, amounts not negative, whole where only whole units exist, and a
 * request never above its limit. Source: core/validation `ValidateResourceRequirements` (v0.33).
 */
import { qualifiedNameProblem } from '../../meta/names.js';
import { Quantity } from '../../meta/quantity.js';
import type { corev1 } from '../generated/types/index.js';
import type { Report } from './report.js';

const standard = new Set(['cpu', 'memory', 'ephemeral-storage']);
const isHugePages = (name: string): boolean => name.startsWith('hugepages-');
/** A resource of someone's own: has a domain, and not Kubernetes'. */
const isExtendedResource = (name: string): boolean =>
  name.includes('/') && !name.slice(0, name.indexOf('/')).endsWith('kubernetes.io') && !name.startsWith('requests.');

type Amounts = Readonly<Record<string, string | number>>;

export function checkResources(
  report: Report,
  resources: corev1.ResourceRequirements | undefined,
  field: string,
): void {
  if (!resources) return;
  const { limits, requests } = resources;
  const limitOf = new Map<string, Quantity>();
  for (const name in limits) {
    const amount = checkAmount(report, name, limits[name]!, `${field}.limits`);
    if (amount) limitOf.set(name, amount);
  }
  for (const name in requests) {
    const amount = checkAmount(report, name, requests[name]!, `${field}.requests`);
    if (amount) checkAgainstLimit(report, name, amount, limitOf.get(name), `${field}.requests`);
  }
}

function checkAgainstLimit(
  report: Report,
  name: string,
  request: Quantity,
  limit: Quantity | undefined,
  field: string,
): void {
  const overcommitable = !isExtendedResource(name) && !isHugePages(name);
  if (limit === undefined) {
    if (!overcommitable)
      report.required(field.replace(/requests$/, 'limits'), 'Limit must be set for non overcommitable resources');
    return;
  }
  if (!overcommitable && !request.equals(limit)) {
    report.invalid(field, request.toString(), `must be equal to ${name} limit of ${limit}`);
  } else if (request.compare(limit) > 0) {
    report.invalid(field, request.toString(), `must be less than or equal to ${name} limit of ${limit}`);
  }
}

function checkAmount(report: Report, name: string, text: string | number, field: string): Quantity | undefined {
  const nameProblem = qualifiedNameProblem(name);
  if (nameProblem) report.invalid(field, name, nameProblem);
  else if (!standard.has(name) && !isHugePages(name) && !name.includes('/')) {
    report.invalid(field, name, 'must be a standard resource for containers');
  }
  const at = `${field}[${name}]`;
  const amount = checkQuantity(report, text, at);
  if (amount && isExtendedResource(name) && amount.milliValue() % 1000n !== 0n)
    report.invalid(at, amount.toString(), 'must be an integer');
  return amount;
}

/** An amount that may not be negative. */
export function checkQuantity(report: Report, text: string | number, field: string): Quantity | undefined {
  if (!Quantity.isQuantity(text)) {
    report.invalid(
      field,
      text,
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
    return undefined;
  }
  const amount = Quantity.parse(text);
  if (amount.compare(Quantity.zero) < 0) {
    report.invalid(field, amount.toString(), 'must be greater than or equal to 0');
    return undefined;
  }
  return amount;
}

/** Amounts of nodes and quotas: any qualified name. */
export function checkAmounts(report: Report, amounts: Amounts | undefined, field: string): void {
  for (const name in amounts) {
    report.form(field, name, qualifiedNameProblem(name));
    checkQuantity(report, amounts[name]!, `${field}[${name}]`);
  }
}
