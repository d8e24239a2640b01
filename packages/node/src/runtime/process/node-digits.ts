import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';

/** Eight hex digits that stand for a data directory: in the names of what a node sets up on the machine. */
export function nodeDigits(dataDir: string): string {
  return createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 8);
}
