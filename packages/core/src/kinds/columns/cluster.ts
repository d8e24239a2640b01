/** Columns of Namespaces, Nodes, ConfigMaps, Secrets, ServiceAccounts, Events and Leases. Rules: data/printer-columns.json. */
import { findCondition } from '../../meta/conditions.js';
import type { coordinationv1, corev1 } from '../generated/types/index.js';
import { ageOf } from '../human-duration.js';
import type { Column } from '../kind.js';
import { ageColumn, column, nameColumn, none } from './column.js';

export const namespaceColumns: readonly Column<corev1.Namespace>[] = [
  nameColumn,
  column('Status', 'Whether the namespace is in use or going away.', ({ status }) => status?.phase ?? ''),
  ageColumn,
];

function nodeStatus({ spec, status }: corev1.Node): string {
  const ready = findCondition(status?.conditions, 'Ready')?.status;
  const text = ready === undefined ? 'Unknown' : ready === 'True' ? 'Ready' : 'NotReady';
  return spec?.unschedulable ? `${text},SchedulingDisabled` : text;
}

const rolePrefix = 'node-role.kubernetes.io/';

function nodeRoles({ metadata }: corev1.Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value) roles.add(value);
  }
  return [...roles].sort().join(',') || none;
}

const addressOf = ({ status }: corev1.Node, type: string): string =>
  status?.addresses?.find(each => each.type === type)?.address ?? none;

export const nodeColumns: readonly Column<corev1.Node>[] = [
  nameColumn,
  column('Status', 'Whether the node runs pods and takes new ones.', nodeStatus),
  column('Roles', 'What the node is for.', nodeRoles),
  ageColumn,
  column('Version', 'Version of the node agent.', ({ status }) => status?.nodeInfo?.kubeletVersion ?? ''),
  column('Internal-IP', 'Address inside the cluster.', node => addressOf(node, 'InternalIP'), { wide: true }),
  column('External-IP', 'Address outside the cluster.', node => addressOf(node, 'ExternalIP'), { wide: true }),
  column('OS-Image', 'Operating system of the node.', ({ status }) => status?.nodeInfo?.osImage || '<unknown>', {
    wide: true,
  }),
  column('Kernel-Version', 'Kernel of the node.', ({ status }) => status?.nodeInfo?.kernelVersion || '<unknown>', {
    wide: true,
  }),
  column(
    'Container-Runtime',
    'What runs containers on the node.',
    ({ status }) => status?.nodeInfo?.containerRuntimeVersion || '<unknown>',
    {
      wide: true,
    },
  ),
];

const sizeOf = (map: object | undefined): number => Object.keys(map ?? {}).length;

export const configMapColumns: readonly Column<corev1.ConfigMap>[] = [
  nameColumn,
  column('Data', 'How many values it holds.', ({ data, binaryData }) => sizeOf(data) + sizeOf(binaryData)),
  ageColumn,
];

export const secretColumns: readonly Column<corev1.Secret>[] = [
  nameColumn,
  column('Type', 'What kind of secret it is.', ({ type }) => type ?? ''),
  column('Data', 'How many values it holds.', ({ data }) => sizeOf(data)),
  ageColumn,
];

export const serviceAccountColumns: readonly Column<corev1.ServiceAccount>[] = [
  nameColumn,
  column('Secrets', 'How many secrets it may use.', ({ secrets }) => secrets?.length ?? 0),
  ageColumn,
];

export const leaseColumns: readonly Column<coordinationv1.Lease>[] = [
  nameColumn,
  column('Holder', 'Who holds the lease.', ({ spec }) => spec?.holderIdentity ?? ''),
  ageColumn,
];

const firstSeen = (event: corev1.Event, now: number): string => ageOf(event.firstTimestamp || event.eventTime, now);

function lastSeen(event: corev1.Event, now: number): string {
  if (event.series) return ageOf(event.series.lastObservedTime, now);
  return event.lastTimestamp ? ageOf(event.lastTimestamp, now) : firstSeen(event, now);
}

function objectText({ involvedObject }: corev1.Event): string {
  const kind = (involvedObject?.kind ?? '').toLowerCase();
  return involvedObject?.name ? `${kind}/${involvedObject.name}` : kind;
}

function sourceText({ source, reportingComponent, reportingInstance }: corev1.Event): string {
  const component = source?.component || reportingComponent || '';
  const host = source?.host || reportingInstance || '';
  return host ? `${component}, ${host}` : component;
}

export const eventColumns: readonly Column<corev1.Event>[] = [
  column('Last Seen', 'When it happened last.', lastSeen),
  column('Type', 'Normal or Warning.', ({ type }) => type ?? ''),
  column('Reason', 'What happened, in a word.', ({ reason }) => reason ?? ''),
  column('Object', 'To what it happened.', objectText),
  column('Subobject', 'Which part of the object.', ({ involvedObject }) => involvedObject?.fieldPath ?? '', {
    wide: true,
  }),
  column('Source', 'Who noticed.', sourceText, { wide: true }),
  column('Message', 'What happened, in words.', ({ message }) => (message ?? '').trim()),
  column('First Seen', 'When it happened first.', firstSeen, { wide: true }),
  column('Count', 'How often it happened.', ({ series, count }) => series?.count ?? (count || 1), { wide: true }),
  column('Name', 'Name of the event.', ({ metadata }) => metadata.name, { format: 'name', wide: true }),
];
