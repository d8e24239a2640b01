/** `orbit describe`: one object in full and what happened to it, for any kind. */
import {
  type DiscoveredKind,
  type DynamicObject,
  Event as EventKind,
  humanDuration,
  isForbidden,
  isNotFound,
  Pod,
} from '@orbitkit/core';
import type { Command } from 'commander';
import { shown } from '../output.js';
import { labelOption, type SelectorFlags, selectorsOf } from '../selector-flags.js';
import { type GlobalFlags, globalFlags, keyIn, type Session, targetsOf, withSession } from '../session.js';
import { type Terminal, write } from '../terminal.js';

interface DescribeFlags extends GlobalFlags, SelectorFlags {}

export function describeCommand(program: Command, terminal: Terminal): void {
  program
    .command('describe')
    .description('show one object in full, with its events')
    .argument('<type...>', 'TYPE [NAME...] or TYPE/NAME...')
    .addOption(labelOption('all with these labels'))
    .action(async (words: string[], _options, command) => {
      const flags = globalFlags(command) as DescribeFlags;
      await withSession(flags, terminal, async session => {
        const { kinds, targets } = targetsOf(session, words);
        const texts: string[] = [];
        for (const { kind, name } of targets) {
          texts.push(await describeObject(session, kind, await session.client.get(kind, keyIn(session, kind, name))));
        }
        for (const kind of targets.length > 0 ? [] : kinds) {
          const list = await session.client.list(kind, {
            ...(kind.namespaced ? { namespace: session.namespace } : {}),
            ...selectorsOf(flags),
          });
          for (const item of list.items) texts.push(await describeObject(session, kind, { ...item, kind: kind.kind }));
        }
        if (texts.length === 0) terminal.stderr.write(`No resources found in ${session.namespace} namespace.\n`);
        await write(terminal.stdout, texts.join('\n\n'));
      });
    });
}

/** Also the text of the describe screen of the terminal UI. */
export async function describeObject(
  session: Session,
  kind: DiscoveredKind,
  object: DynamicObject,
  now = Date.now(),
): Promise<string> {
  const { metadata, apiVersion, kind: kindName, ...rest } = shown(object);
  const { name, namespace, labels, annotations, ...others } = metadata;
  const visible = Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([key]) => key !== 'kubectl.kubernetes.io/last-applied-configuration'),
  );
  const lines = [
    `Name:         ${name}`,
    ...(namespace ? [`Namespace:    ${namespace}`] : []),
    ...pairs('Labels:', labels),
    ...pairs('Annotations:', visible),
    `API Version:  ${apiVersion}`,
    `Kind:         ${kindName}`,
    ...tree({ Metadata: others, ...rest }, ''),
    ...(kind.kind === 'PersistentVolumeClaim' && kind.group === '' ? await userLines(session, name, namespace) : []),
    ...(await eventLines(session, kind, object, now)),
  ];
  return `${lines.join('\n')}\n`;
}

function pairs(title: string, values: Record<string, string> | undefined): string[] {
  const entries = Object.entries(values ?? {});
  if (entries.length === 0) return [`${title.padEnd(14)}<none>`];
  return entries.map(([key, value], index) => `${(index === 0 ? title : '').padEnd(14)}${key}=${value}`);
}

/** `podIP` → `Pod IP`, as kubectl's describe of unknown kinds does. */
const label = (key: string): string =>
  key.charAt(0).toUpperCase() + key.slice(1).replace(/([a-z0-9])([A-Z])/g, '$1 $2');

/** Maps whose keys are a person's own words; they are shown as they are. */
const verbatim = new Set([
  'labels',
  'annotations',
  'matchLabels',
  'nodeSelector',
  'selector',
  'data',
  'binaryData',
  'stringData',
  'limits',
  'requests',
  'capacity',
  'allocatable',
]);

function tree(value: Record<string, unknown>, indent: string, holder = ''): string[] {
  const titled = (key: string) => (verbatim.has(holder) ? key : label(key));
  return Object.entries(value).flatMap(([key, item]) => {
    if (item === undefined || item === null) return [];
    if (typeof item !== 'object') return text(`${indent}${titled(key)}:`, String(item), indent);
    if (Array.isArray(item)) {
      if (item.length === 0) return [];
      return [`${indent}${titled(key)}:`, ...item.flatMap(each => listItem(each, `${indent}  `))];
    }
    const inner = tree(item as Record<string, unknown>, `${indent}  `, key);
    return inner.length === 0 ? [] : [`${indent}${titled(key)}:`, ...inner];
  });
}

function text(title: string, value: string, indent: string): string[] {
  if (!value.includes('\n')) return [`${title}  ${value}`];
  return [title, ...value.split('\n').map(line => `${indent}  ${line}`)];
}

function listItem(item: unknown, indent: string): string[] {
  if (typeof item !== 'object' || item === null) return [`${indent}${String(item)}`];
  const lines = tree(item as Record<string, unknown>, `${indent}  `);
  const [first, ...others] = lines;
  return first === undefined ? [`${indent}- {}`] : [`${indent}- ${first.trimStart()}`, ...others];
}

/** The pods that use a claim, as kubectl shows them. */
async function userLines(session: Session, claim: string, namespace: string | undefined): Promise<string[]> {
  const title = 'Used By:'.padEnd(14);
  try {
    const pods = await session.client.list(Pod, namespace ? { namespace } : {});
    const names = pods.items
      .filter(({ metadata, spec }) =>
        spec.volumes?.some(
          ({ name, persistentVolumeClaim, ephemeral }) =>
            persistentVolumeClaim?.claimName === claim || (ephemeral && `${metadata.name}-${name}` === claim),
        ),
      )
      .map(({ metadata }) => metadata.name);
    return names.length === 0
      ? [`${title}<none>`]
      : names.map((name, index) => `${index === 0 ? title : ' '.repeat(14)}${name}`);
  } catch (error) {
    if (isForbidden(error)) return [`${title}(not readable)`];
    throw error;
  }
}

async function eventLines(
  session: Session,
  kind: DiscoveredKind,
  object: DynamicObject,
  now: number,
): Promise<string[]> {
  const { name, namespace, uid } = object.metadata;
  const fieldSelector = [
    `involvedObject.name=${name}`,
    `involvedObject.uid=${uid}`,
    `involvedObject.kind=${kind.kind}`,
  ].join(',');
  let events: EventKind[];
  try {
    events = (await session.client.list(EventKind, { fieldSelector, ...(namespace ? { namespace } : {}) })).items;
  } catch (error) {
    if (isForbidden(error) || isNotFound(error)) return ['Events:       (not readable)'];
    throw error;
  }
  if (events.length === 0) return ['Events:       <none>'];
  const at = (event: EventKind) =>
    event.series?.lastObservedTime ?? event.lastTimestamp ?? event.eventTime ?? event.metadata.creationTimestamp;
  events.sort((a, b) => Date.parse(at(a)) - Date.parse(at(b)));
  const rows = events.map(event => {
    const count = event.series?.count ?? event.count ?? 1;
    const times = count > 1 ? ` (x${count})` : '';
    return [
      event.type ?? '',
      event.reason ?? '',
      `${humanDuration(now - Date.parse(at(event)))}${times}`,
      event.source?.component ?? event.reportingComponent ?? '',
      event.message ?? '',
    ];
  });
  const head = ['Type', 'Reason', 'Age', 'From', 'Message'];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(row => row[column]!.length)));
  const line = (cells: readonly string[]) =>
    `  ${cells.map((cell, column) => (column === 4 ? cell : cell.padEnd(widths[column]!))).join('  ')}`.trimEnd();
  return ['Events:', line(head), line(head.map(title => '-'.repeat(title.length))), ...rows.map(line)];
}
