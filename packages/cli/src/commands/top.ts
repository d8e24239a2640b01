/** `orbit top`: what nodes and pods use at the moment, by metrics.k8s.io. */
import { type KubeObject, Node, printTable, Quantity, queryOf, requestJson, type Table } from '@orbitkit/core';
import type { Command } from 'commander';
import { labelOption, type SelectorFlags, selectorsOf } from '../selector-flags.js';
import { type GlobalFlags, globalFlags, type Session, withSession } from '../session.js';
import { type Terminal, write } from '../terminal.js';

interface TopFlags extends GlobalFlags, SelectorFlags {
  allNamespaces?: boolean;
  containers?: boolean;
}

interface Usage {
  cpu: string;
  memory: string;
}
type NodeUsage = KubeObject & { usage: Usage };
type PodUsage = KubeObject & { containers: { name: string; usage: Usage }[] };

const base = '/apis/metrics.k8s.io/v1beta1';

export function topCommand(program: Command, terminal: Terminal): void {
  const top = program
    .command('top')
    .description('what nodes and pods use: orbit top nodes, orbit top pods --containers');
  top
    .command('nodes')
    .aliases(['node', 'no'])
    .argument('[name]')
    .addOption(labelOption())
    .action(async (name: string | undefined, _options, command) => {
      const flags = globalFlags(command) as TopFlags;
      await withSession(flags, terminal, async session => {
        const used = await read<NodeUsage>(session, `${base}/nodes`, name, flags);
        const room = new Map(
          (await session.client.list(Node)).items.map(node => [node.metadata.name, node.status?.allocatable ?? {}]),
        );
        const rows = used.map(({ metadata, usage }) => {
          const most = room.get(metadata.name) ?? {};
          return [
            metadata.name,
            cores(usage.cpu),
            share(usage.cpu, most['cpu']),
            mebibytes(usage.memory),
            share(usage.memory, most['memory']),
          ];
        });
        await show(terminal, ['Name', 'CPU(cores)', 'CPU(%)', 'Memory(bytes)', 'Memory(%)'], rows);
      });
    });
  top
    .command('pods')
    .aliases(['pod', 'po'])
    .argument('[name]')
    .option('-n, --namespace <name>', 'the namespace')
    .option('-A, --all-namespaces')
    .addOption(labelOption())
    .option('--containers', 'one line a container')
    .action(async (name: string | undefined, _options, command) => {
      const flags = globalFlags(command) as TopFlags;
      await withSession(flags, terminal, async session => {
        const scope = flags.allNamespaces ? '' : `/namespaces/${encodeURIComponent(session.namespace)}`;
        const used = await read<PodUsage>(session, `${base}${scope}/pods`, name, flags);
        const rows = used.flatMap(({ metadata, containers }) => {
          const place = flags.allNamespaces ? [metadata.namespace ?? ''] : [];
          const parts = containers.map(({ name: container, usage }) => [container, usage] as const);
          const lines = flags.containers ? parts : [['', sum(containers.map(({ usage }) => usage))] as const];
          return lines.map(([container, { cpu, memory }]) => [
            ...place,
            metadata.name,
            ...(flags.containers ? [container] : []),
            cores(cpu),
            mebibytes(memory),
          ]);
        });
        const columns = ['Name', ...(flags.containers ? ['Container'] : []), 'CPU(cores)', 'Memory(bytes)'];
        await show(terminal, flags.allNamespaces ? ['Namespace', ...columns] : columns, rows);
      });
    });
}

async function read<T>(session: Session, path: string, name: string | undefined, flags: TopFlags): Promise<T[]> {
  const { transport } = session.client;
  if (name !== undefined)
    return [await requestJson<T>(transport, { method: 'GET', path: `${path}/${encodeURIComponent(name)}` })];
  const query = queryOf(selectorsOf(flags));
  return (await requestJson<{ items: T[] }>(transport, { method: 'GET', path: path + query })).items;
}

const sum = (usages: readonly Usage[]): Usage => ({
  cpu: usages.reduce((total, { cpu }) => total.add(Quantity.parse(cpu)), Quantity.zero).toString(),
  memory: usages.reduce((total, { memory }) => total.add(Quantity.parse(memory)), Quantity.zero).toString(),
});
const cores = (cpu: string): string => `${Quantity.parse(cpu).milliValue()}m`;
const mebibytes = (memory: string): string => `${Quantity.parse(memory).value() / (1024n * 1024n)}Mi`;

function share(used: string, most: string | number | undefined): string {
  const whole = most === undefined ? 0 : Quantity.parse(most).toNumber();
  return whole > 0 ? `${Math.floor((100 * Quantity.parse(used).toNumber()) / whole)}%` : '<unknown>';
}

async function show(terminal: Terminal, columns: readonly string[], rows: readonly string[][]): Promise<void> {
  if (rows.length === 0) return void terminal.stderr.write('No resources found\n');
  const columnDefinitions = columns.map(name => ({ name, type: 'string', format: '', description: '', priority: 0 }));
  const table = { columnDefinitions, rows: rows.map(cells => ({ cells })) } as unknown as Table;
  await write(terminal.stdout, printTable(table, columnDefinitions as never, { now: Date.now() }));
}
