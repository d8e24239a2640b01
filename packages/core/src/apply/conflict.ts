/** The answer to a configuration that would change what others own. Texts: apimachinery `managedfields/internal/conflict.go`. */
import { StatusError } from '../errors/status-error.js';
import type { FieldManager } from './managed-fields.js';
import type { FieldConflict } from './ownership.js';

/** `"editor" with subresource "status" using v1` */
function managerText({ manager, operation, apiVersion, subresource }: FieldManager): string {
  const named = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '');
  return operation === 'Update' ? `${named} using ${apiVersion}` : named;
}

/** 409 Conflict with a cause for each field: who owns it (`message`) and its path (`field`). */
export function applyConflict(conflicts: readonly FieldConflict[]): StatusError {
  return new StatusError('Conflict', conflictText(conflicts), {
    details: {
      causes: conflicts.map(({ manager, path }) => ({
        reason: 'FieldManagerConflict',
        message: `conflict with ${managerText(manager)}`,
        field: path,
      })),
    },
  });
}

function conflictText(conflicts: readonly FieldConflict[]): string {
  const [first] = conflicts;
  if (conflicts.length === 1 && first) {
    return `Apply failed with 1 conflict: conflict with ${managerText(first.manager)}: ${first.path}`;
  }
  const byManager = new Map<string, string[]>();
  for (const { manager, path } of conflicts) {
    const text = managerText(manager);
    const paths = byManager.get(text);
    if (paths === undefined) byManager.set(text, [path]);
    else paths.push(path);
  }
  const lines = [...byManager.keys()]
    .sort()
    .flatMap(manager => [`conflicts with ${manager}:`, ...byManager.get(manager)!.map(path => `- ${path}`)]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`;
}
