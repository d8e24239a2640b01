/** Rules of LimitRanges and ResourceQuotas. Source: core/validation `ValidateLimitRange`, `ValidateResourceQuota` (v0.33). */
import { qualifiedNameProblem } from '../../meta/names.js';
import { Quantity } from '../../meta/quantity.js';
import type { corev1 } from '../generated/types/index.js';
import type { Report } from './report.js';
import { checkQuantity } from './resources.js';

type Amounts = Readonly<Record<string, string | number>>;

const standardLimited = new Set(['cpu', 'memory', 'ephemeral-storage', 'storage']);
const isStandardLimit = (name: string): boolean =>
  name.includes('/') || name.startsWith('hugepages-') || standardLimited.has(name);

export function checkLimitRange(report: Report, { spec }: corev1.LimitRange): void {
  const types = new Set<string>();
  for (const [index, item] of (spec.limits ?? []).entries()) {
    const field = `spec.limits[${index}]`;
    const { type } = item;
    if (!type) report.required(`${field}.type`);
    else {
      const problem = qualifiedNameProblem(type);
      if (problem) report.invalid(`${field}.type`, type, problem);
      if (types.has(type)) report.duplicate(`${field}.type`, type);
      types.add(type);
    }
    checkLimitItem(report, item, field);
  }
}

const bounds = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const;

function checkLimitItem(report: Report, item: corev1.LimitRangeItem, field: string): void {
  const parsed: Partial<Record<(typeof bounds)[number], Map<string, Quantity>>> = {};
  const names = new Set<string>();
  for (const bound of bounds) {
    const amounts: Amounts | undefined = item[bound];
    if (amounts === undefined) continue;
    if (item.type === 'Pod' && (bound === 'default' || bound === 'defaultRequest')) {
      if (Object.keys(amounts).length > 0)
        report.forbidden(`${field}.${bound}`, "may not be specified when `type` is 'Pod'");
      continue;
    }
    parsed[bound] = new Map();
    for (const name in amounts) {
      const at = `${field}.${bound}[${name}]`;
      const problem =
        qualifiedNameProblem(name) ??
        (isStandardLimit(name) ? undefined : 'must be a standard limit type or fully qualified');
      if (problem) report.invalid(at, name, problem);
      const amount = checkQuantity(report, amounts[name]!, at);
      if (amount) parsed[bound].set(name, amount);
      names.add(name);
    }
  }
  if (item.type === 'PersistentVolumeClaim') {
    if (item.max?.['storage'] === undefined && item.min?.['storage'] === undefined)
      report.required(field, 'either minimum or maximum storage value is required, but neither was provided');
  }
  for (const name of [...names].sort()) {
    const at = (bound: (typeof bounds)[number]): Quantity | undefined => parsed[bound]?.get(name);
    const [min, max, limit, request, ratio] = [
      at('min'),
      at('max'),
      at('default'),
      at('defaultRequest'),
      at('maxLimitRequestRatio'),
    ];
    const above = (a: Quantity | undefined, b: Quantity | undefined): boolean =>
      a !== undefined && b !== undefined && a.compare(b) > 0;
    if (above(min, max))
      report.invalid(`${field}.min[${name}]`, min!.toString(), `min value ${min} is greater than max value ${max}`);
    const requestField = `${field}.defaultRequest[${name}]`;
    if (above(min, request))
      report.invalid(
        requestField,
        request!.toString(),
        `min value ${min} is greater than default request value ${request}`,
      );
    if (above(request, max))
      report.invalid(
        requestField,
        request!.toString(),
        `default request value ${request} is greater than max value ${max}`,
      );
    if (above(request, limit))
      report.invalid(
        requestField,
        request!.toString(),
        `default request value ${request} is greater than default limit value ${limit}`,
      );
    const limitField = `${field}.default[${name}]`;
    if (above(min, limit))
      report.invalid(limitField, min!.toString(), `min value ${min} is greater than default value ${limit}`);
    if (above(limit, max))
      report.invalid(limitField, limit!.toString(), `default value ${limit} is greater than max value ${max}`);
    if (ratio && ratio.compare(one) < 0)
      report.invalid(`${field}.maxLimitRequestRatio[${name}]`, ratio.toString(), `ratio ${ratio} is less than 1`);
  }
}
const one = Quantity.parse('1');

/** Kinds that are counted under their bare name. */
const countedKinds = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
];

const standardQuota = new Set([
  'cpu',
  'memory',
  'ephemeral-storage',
  'storage',
  'requests.cpu',
  'requests.memory',
  'requests.storage',
  'requests.ephemeral-storage',
  'limits.cpu',
  'limits.memory',
  'limits.ephemeral-storage',
  ...countedKinds,
  'services.nodeports',
  'services.loadbalancers',
]);
/** Counted in whole objects. */
const isCount = (name: string): boolean =>
  name.startsWith('count/') || countedKinds.includes(name) || name.startsWith('services.');

const scopes = [
  'Terminating',
  'NotTerminating',
  'BestEffort',
  'NotBestEffort',
  'PriorityClass',
  'CrossNamespacePodAffinity',
];
const opposites: readonly (readonly [string, string])[] = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
];
/** What pods are counted by, under a scope that speaks of pods. */
const podResources = new Set(
  [...standardQuota].filter(name => !isCount(name) && !name.includes('storage')).concat('pods'),
);

function checkQuotaAmounts(report: Report, amounts: Amounts | undefined, field: string): void {
  for (const name in amounts) {
    const at = `${field}[${name}]`;
    const problem = qualifiedNameProblem(name);
    if (problem) report.invalid(at, name, problem);
    else if (!name.includes('/') && !standardQuota.has(name) && !/^(requests\.|limits\.)?hugepages-/.test(name))
      report.invalid(at, name, 'must be a standard resource for quotas');
    const amount = checkQuantity(report, amounts[name]!, at);
    if (amount && isCount(name) && amount.milliValue() % 1000n !== 0n)
      report.invalid(at, amount.toString(), 'must be an integer');
  }
}

export function checkResourceQuota(
  report: Report,
  { spec, status }: corev1.ResourceQuota,
  previous?: corev1.ResourceQuota,
): void {
  checkQuotaAmounts(report, spec?.hard, 'spec.hard');
  checkQuotaAmounts(report, status?.hard, 'status.hard');
  checkQuotaAmounts(report, status?.used, 'status.used');
  const given = spec?.scopes ?? [];
  for (const scope of given) {
    if (!scopes.includes(scope)) continue;
    for (const name of Object.keys(spec?.hard ?? {}))
      if (!podResources.has(name) && !name.startsWith('count/'))
        report.invalid('spec.scopes', given, 'unsupported scope applied to resource');
  }
  for (const pair of opposites)
    if (pair.every(scope => (given as readonly string[]).includes(scope)))
      report.invalid('spec.scopes', given, 'conflicting scopes');
  for (const [index, term] of (spec?.scopeSelector?.matchExpressions ?? []).entries()) {
    const field = `spec.scopeSelector.matchExpressions[${index}]`;
    const withValues = term.operator === 'In' || term.operator === 'NotIn';
    if (withValues && !term.values?.length)
      report.required(
        `${field}.values`,
        "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
      );
    else if (!withValues && term.values?.length)
      report.invalid(
        `${field}.values`,
        term.values,
        "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
      );
  }
  if (!previous) return;
  report.immutable('spec.scopes', [...given].sort(), [...(previous.spec?.scopes ?? [])].sort());
  report.immutable('spec.scopeSelector', spec?.scopeSelector, previous.spec?.scopeSelector);
}
