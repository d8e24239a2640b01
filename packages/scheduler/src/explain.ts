/** Says of a decision what a person wants to know: which nodes were refused by which plugin and why, and who scored what. */
import type { Decision } from './decide.js';

/** One line a node, `limit` at most; the rest is counted. */
export function refusalsByNode(decision: Decision, limit = 10): string {
  const lines = [...decision.refusals].map(
    ([node, refusal]) => `${node}: ${refusal.reasons.join(', ')} (${refusal.plugin})`,
  );
  const shown = lines.slice(0, limit);
  if (lines.length > limit) shown.push(`and ${lines.length - limit} more nodes`);
  return shown.join('; ');
}

export function explain(decision: Decision): string {
  if (decision.outcome === 'unschedulable') {
    return [
      decision.message,
      ...[...decision.refusals].map(([node, each]) => `  ${node}: ${each.reasons.join(', ')} (${each.plugin})`),
    ].join('\n');
  }
  const lines = [`placed on ${decision.node}`];
  for (const score of decision.scores) {
    const parts = Object.entries(score.byPlugin).map(([plugin, value]) => `${plugin} ${Math.round(value * 100) / 100}`);
    lines.push(`  ${score.node}: ${Math.round(score.total * 100) / 100} (${parts.join(', ')})`);
  }
  for (const [node, refusal] of decision.refusals)
    lines.push(`  ${node}: refused, ${refusal.reasons.join(', ')} (${refusal.plugin})`);
  return lines.join('\n');
}
