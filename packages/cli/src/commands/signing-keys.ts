/** `orbit signing-keys list | rotate`: the keys with which the running servers sign service-account tokens. */
import type { Command } from 'commander';
import { answered, serverTransport } from '../server-transport.js';
import { globalFlags } from '../session.js';
import { type Terminal, write } from '../terminal.js';

interface KeySummary {
  readonly id: string;
  readonly state: string;
  readonly signsFrom?: string;
  readonly until?: string;
}

export function signingKeysCommand(program: Command, terminal: Terminal): void {
  const group = program.command('signing-keys').description('keys that sign service-account tokens');
  group
    .command('list')
    .description('which key signs, and which older ones still count')
    .action(async (_options, command) => {
      await show(command, terminal, 'GET', '/orbitkit/signing-keys');
    });
  group
    .command('rotate')
    .description('a new key signs from now on; tokens of the older ones stay valid until they expire')
    .option('--revoke', 'tokens of all older keys end at once: after a key was lost')
    .action(async ({ revoke = false }: { revoke?: boolean }, command) => {
      await show(command, terminal, 'POST', `/orbitkit/signing-keys/rotate?revoke=${revoke}`);
    });
}

async function show(command: Command, terminal: Terminal, method: 'GET' | 'POST', path: string): Promise<void> {
  const transport = await serverTransport(globalFlags(command), terminal);
  try {
    const response = await answered(await transport.request({ method, path, signal: terminal.signal }));
    const { keys } = JSON.parse(Buffer.from(await response.bytes()).toString()) as { keys: KeySummary[] };
    const rows = [
      ['KEY', 'STATE', 'SIGNS FROM', 'UNTIL'],
      ...keys.map(({ id, state, signsFrom = '-', until = '-' }) => [id, state, signsFrom, until]),
    ];
    const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
    const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column]! + 3)).join('');
    await write(terminal.stdout, `${rows.map(row => line(row).trimEnd()).join('\n')}\n`);
  } finally {
    await transport.close();
  }
}
