/**
 * Columns of what rules and limits others: budgets, quotas, priorities, runtime classes, flow control. Rules: data/printer-columns.json.
 */
import type { corev1, flowcontrolv1, nodev1, policyv1, schedulingv1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import { ageColumn, column, nameColumn, none } from './column.js';

const shareText = (share: number | string | undefined): string => (share === undefined ? 'N/A' : String(share));

export const disruptionBudgetColumns: readonly Column<policyv1.PodDisruptionBudget>[] = [
  nameColumn,
  column('Min Available', 'Pods that must stay.', ({ spec }) => shareText(spec.minAvailable)),
  column('Max Unavailable', 'Pods that may be away.', ({ spec }) => shareText(spec.maxUnavailable)),
  column('Allowed Disruptions', 'Pods that may be evicted now.', ({ status }) => status?.disruptionsAllowed ?? 0, {
    type: 'integer',
  }),
  ageColumn,
];

function quotaText({ status }: corev1.ResourceQuota, limits: boolean): string {
  const { hard = {}, used = {} } = status ?? {};
  return Object.keys(hard)
    .filter(name => name.startsWith('limits.') === limits)
    .sort()
    .map(name => `${name}: ${used[name] ?? 0}/${hard[name]}`)
    .join(', ');
}

export const resourceQuotaColumns: readonly Column<corev1.ResourceQuota>[] = [
  nameColumn,
  column('Request', 'What is asked for, of what may be.', quota => quotaText(quota, false)),
  column('Limit', 'What is limited to, of what may be.', quota => quotaText(quota, true)),
  ageColumn,
];

export const priorityClassColumns: readonly Column<schedulingv1.PriorityClass>[] = [
  nameColumn,
  column('Value', 'The higher, the earlier.', ({ value }) => value, { type: 'integer' }),
  column('Global-Default', 'Whether pods without a class get it.', ({ globalDefault }) => globalDefault ?? false, {
    type: 'boolean',
  }),
  ageColumn,
  column('PreemptionPolicy', 'Whether it pushes others away.', ({ preemptionPolicy }) => preemptionPolicy ?? ''),
];

export const runtimeClassColumns: readonly Column<nodev1.RuntimeClass>[] = [
  nameColumn,
  column('Handler', 'What the runtime calls it.', ({ handler }) => handler),
  ageColumn,
];

function healthy({ conditions }: corev1.ComponentStatus): corev1.ComponentCondition | undefined {
  return conditions?.find(({ type }) => type === 'Healthy');
}

export const componentStatusColumns: readonly Column<corev1.ComponentStatus>[] = [
  nameColumn,
  column('Status', 'Whether it is well.', component => {
    const status = healthy(component)?.status;
    return status === undefined ? 'Unknown' : status === 'True' ? 'Healthy' : 'Unhealthy';
  }),
  column('Message', 'What it says.', component => healthy(component)?.message ?? ''),
  column('Error', 'What is wrong.', component => healthy(component)?.error ?? ''),
];

export const flowSchemaColumns: readonly Column<flowcontrolv1.FlowSchema>[] = [
  nameColumn,
  column('PriorityLevel', 'Where its requests wait.', ({ spec }) => spec.priorityLevelConfiguration?.name ?? ''),
  column('MatchingPrecedence', 'The lower, the earlier it is asked.', ({ spec }) => spec.matchingPrecedence ?? 0),
  column('DistinguisherMethod', 'What makes flows differ.', ({ spec }) => spec.distinguisherMethod?.type ?? none),
  ageColumn,
  column(
    'MissingPL',
    'Whether its priority level is missing.',
    ({ status }) => status?.conditions?.find(({ type }) => type === 'Dangling')?.status ?? '?',
  ),
];

type Level = flowcontrolv1.PriorityLevelConfiguration;
const queuing = ({ spec }: Level): flowcontrolv1.QueuingConfiguration | undefined =>
  spec.limited?.limitResponse?.queuing;

export const priorityLevelColumns: readonly Column<Level>[] = [
  nameColumn,
  column('Type', 'Limited or exempt.', ({ spec }) => spec.type),
  column(
    'NominalConcurrencyShares',
    'Its part of what the server handles at once.',
    ({ spec }) => spec.limited?.nominalConcurrencyShares ?? none,
  ),
  column('Queues', 'How many queues it has.', level => queuing(level)?.queues ?? none),
  column('HandSize', 'Queues that one flow may use.', level => queuing(level)?.handSize ?? none),
  column('QueueLengthLimit', 'Requests that one queue takes.', level => queuing(level)?.queueLengthLimit ?? none),
  ageColumn,
];
