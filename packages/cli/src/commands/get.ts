/** `orbit get`: what the server has, in its own columns or as objects; `-w` goes on with what changes. */

import { apiVersionOf, type DynamicObject, isExpired, type PrintTableOptions, printTable } from '@orbitkit/core';
import type { Command } from 'commander';
import { objectText, outputForm, shown } from '../output.js';
import { fieldOption, labelOption, type SelectorFlags, selectorsOf } from '../selector-flags.js';
import { type GlobalFlags, globalFlags, keyIn, objectName, type Session, targetsOf, withSession } from '../session.js';
import { fetchTable, watchTable } from '../tables.js';
import { CommandError, type Terminal, write } from '../terminal.js';

interface GetFlags extends GlobalFlags, SelectorFlags {
  output?: string;
  watch?: boolean;
  allNamespaces?: boolean;
  headers: boolean;
  showLabels?: boolean;
  showManagedFields?: boolean;
}

export function getCommand(program: Command, terminal: Terminal): void {
  program
    .command('get')
    .description('show objects: orbit get pods, orbit get pod/web, orbit get po,svc -A -o wide')
    .argument('<type...>', 'TYPE [NAME...] or TYPE/NAME...')
    .option('-o, --output <form>', 'wide, yaml, json or name')
    .option('-w, --watch', 'go on with what changes')
    .option('-A, --all-namespaces', 'objects of every namespace')
    .addOption(labelOption())
    .addOption(fieldOption())
    .option('--no-headers', 'leave the column names out')
    .option('--show-labels', 'labels as last column')
    .option('--show-managed-fields', 'with yaml and json: who owns which fields')
    .action(async (words: string[], _options, command) => {
      const flags = globalFlags(command) as GetFlags;
      await withSession(flags, terminal, session => get(session, words, flags, terminal));
    });
}

async function get(session: Session, words: string[], flags: GetFlags, terminal: Terminal): Promise<void> {
  const { kinds, targets } = targetsOf(session, words);
  const form = outputForm(flags.output);
  const selectors = { ...selectorsOf(flags), signal: terminal.signal };
  if (form === 'yaml' || form === 'json' || form === 'name') {
    if (flags.watch) throw new CommandError('-w goes with the table forms only');
    const objects: DynamicObject[] = [];
    for (const target of targets)
      objects.push(await session.client.get(target.kind, keyIn(session, target.kind, target.name)));
    for (const kind of targets.length > 0 ? [] : kinds) {
      const namespace = flags.allNamespaces || !kind.namespaced ? {} : { namespace: session.namespace };
      const list = await session.client.list(kind, { ...selectors, ...namespace });
      for (const item of list.items) objects.push({ ...item, apiVersion: apiVersionOf(kind), kind: kind.kind });
    }
    if (form === 'name') {
      const named = objects.map(
        object => `${objectName(session.kinds.byKind(object.apiVersion, object.kind), object.metadata.name)}\n`,
      );
      return write(terminal.stdout, named.join(''));
    }
    const items = flags.showManagedFields ? objects : objects.map(shown);
    const value = targets.length === 1 ? items[0]! : { apiVersion: 'v1', kind: 'List', metadata: {}, items };
    return write(terminal.stdout, await objectText(value, form));
  }

  const groups = targets.length > 0 ? targets : kinds.map(kind => ({ kind, name: undefined as string | undefined }));
  if (flags.watch && groups.length > 1) throw new CommandError('-w watches one type, or one object, at a time');
  const several = new Set(groups.map(group => group.kind)).size > 1;
  let printed = 0;
  let missing: Error | undefined;
  const byKind = new Map<string, { kind: (typeof groups)[number]['kind']; names: (string | undefined)[] }>();
  for (const { kind, name } of groups) {
    const key = `${kind.group}/${kind.plural}`;
    const entry = byKind.get(key) ?? { kind, names: [] };
    entry.names.push(name);
    byKind.set(key, entry);
  }
  for (const { kind, names } of byKind.values()) {
    const namespace =
      !kind.namespaced || (flags.allNamespaces && names[0] === undefined) ? {} : { namespace: session.namespace };
    const options = {
      wide: form === 'wide',
      headers: flags.headers,
      namespaces: kind.namespaced && !!flags.allNamespaces,
      ...(several ? { kindPrefix: objectName(kind, '').slice(0, -1) } : {}),
      ...(flags.showLabels ? { showLabels: true } : {}),
      widths: [],
    };
    const tables = [];
    for (const name of names) {
      try {
        tables.push(await fetchTable(session, kind, { ...selectors, ...namespace, ...(name ? { name } : {}) }));
      } catch (error) {
        if (names.length === 1 && byKind.size === 1) throw error;
        missing = error as Error;
        terminal.stderr.write(`Error: ${missing.message}\n`);
      }
    }
    const [table] = tables;
    if (table) {
      for (const other of tables.slice(1)) table.rows.push(...other.rows);
      if (table.rows.length > 0) {
        await write(
          terminal.stdout,
          `${printed > 0 ? '\n' : ''}${printTable(table, table.columnDefinitions ?? [], { ...options, now: Date.now() })}`,
        );
        printed += table.rows.length;
      }
      if (flags.watch)
        return follow(session, kind, names[0], table, { ...selectors, ...namespace }, options, printed > 0, terminal);
    }
  }
  if (missing) throw new CommandError('not all of them were found');
  if (printed === 0) {
    const everywhere = flags.allNamespaces || groups.every(group => !group.kind.namespaced);
    terminal.stderr.write(
      everywhere ? 'No resources found\n' : `No resources found in ${session.namespace} namespace.\n`,
    );
  }
}

type FetchOptions = Parameters<typeof fetchTable>[2];

async function follow(
  session: Session,
  kind: Parameters<typeof fetchTable>[1],
  name: string | undefined,
  first: Awaited<ReturnType<typeof fetchTable>>,
  query: FetchOptions,
  options: Omit<PrintTableOptions, 'now'>,
  printedHeaders: boolean,
  terminal: Terminal,
): Promise<void> {
  let columns = first.columnDefinitions ?? [];
  let headers = options.headers && !printedHeaders;
  let resourceVersion = first.metadata?.resourceVersion ?? '0';
  while (!terminal.signal.aborted) {
    try {
      for await (const { table } of watchTable(session, kind, {
        ...query,
        ...(name ? { name } : {}),
        resourceVersion,
      })) {
        if (table.columnDefinitions?.length) columns = table.columnDefinitions;
        const version = (table.rows.at(-1)?.object as { metadata?: { resourceVersion?: string } } | null)?.metadata
          ?.resourceVersion;
        if (version) resourceVersion = version;
        await write(terminal.stdout, printTable(table, columns, { ...options, headers, now: Date.now() }));
        headers = false;
      }
    } catch (error) {
      if (terminal.signal.aborted) return;
      if (!isExpired(error)) throw error;
      resourceVersion = (await fetchTable(session, kind, query)).metadata?.resourceVersion ?? '0';
    }
  }
}
