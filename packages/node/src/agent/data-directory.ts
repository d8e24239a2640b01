/**
 * The agent's directory: 0700, with a random id that marks what belongs to it. Whoever loses the directory loses the claim
 * to what still runs.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

export async function openDataDirectory(directory: string): Promise<{ agentId: string }> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await chmod(directory, 0o700);
  const file = path.join(directory, 'agent-id');
  const known = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (known) return { agentId: known };
  const agentId = randomUUID();
  // Written whole or not at all: half an id would disown every pod.
  await writeFile(`${file}.new`, `${agentId}\n`, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
  return { agentId };
}
