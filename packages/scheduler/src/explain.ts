/** Says of a decision what a person wants to know: which nodes were refused by which plugin and why, and who scored what. As data and as text. */
import { type StatusCode, statusOf } from './framework/plugin.js';
import type { Decision } from './schedule.js';

/** What became of one node. */
export interface NodeVerdict {
  readonly node: string;
  readonly status: StatusCode;
  /** Of a refused node. */
  readonly plugin?: string;
  readonly reasons?: readonly string[];
  /** Of a scored node: the weighted sum, and each plugin's score before its weight. */
  readonly total?: number;
  readonly scores?: Readonly<Record<string, number>>;
}

/** A decision as data that JSON can carry. */
export interface Explanation {
  readonly outcome: Decision['outcome'];
  readonly node?: string;
  readonly message?: string;
  readonly preemption?: { readonly node: string; readonly victims: readonly string[] };
  readonly examined: number;
  readonly feasible: number;
  /** Best first, then the refused ones. Of a decision made for its choice alone: only the chosen one. */
  readonly nodes: readonly NodeVerdict[];
}

/** A decision as data. */
export function explanationOf(decision: Decision): Explanation {
  const nodes: NodeVerdict[] = [];
  if (decision.outcome === 'placed') {
    if (decision.scores.length === 0) nodes.push({ node: decision.node, status: 'Success' });
    for (const { node, total, byPlugin } of decision.scores)
      nodes.push({ node, status: 'Success', total, scores: byPlugin });
  }
  for (const [node, refusal] of decision.refusals)
    nodes.push({ node, status: statusOf(refusal), plugin: refusal.plugin, reasons: refusal.reasons });
  const { outcome, examined, feasible } = decision;
  if (outcome === 'placed') return { outcome, node: decision.node, examined, feasible, nodes };
  const { message, preemption } = decision;
  return {
    outcome,
    message,
    ...(preemption
      ? {
          preemption: {
            node: preemption.node,
            victims: preemption.victims.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
          },
        }
      : {}),
    examined,
    feasible,
    nodes,
  };
}

/** One line a node, `limit` at most; the rest is counted. */
export function refusalsByNode(decision: Decision, limit = 10): string {
  const shown: string[] = [];
  for (const [node, refusal] of decision.refusals) {
    if (shown.length === limit) break;
    shown.push(`${node}: ${refusal.reasons.join(', ')} (${refusal.plugin})`);
  }
  if (decision.refusals.size > limit) shown.push(`and ${decision.refusals.size - limit} more nodes`);
  return shown.join('; ');
}

/** A decision as text, a line a node. */
export const explain = (decision: Decision): string => explanationText(explanationOf(decision));

/** An explanation as text, a line a node. */
export function explanationText({ outcome, node, message, preemption, nodes }: Explanation): string {
  const lines = outcome === 'placed' ? [`placed on ${node}`] : [message ?? 'unschedulable'];
  if (preemption) lines.push(`  would fit on ${preemption.node} after ${preemption.victims.join(', ')} ended`);
  for (const each of nodes) {
    if (each.scores) {
      const parts = Object.entries(each.scores).map(([plugin, value]) => `${plugin} ${rounded(value)}`);
      lines.push(`  ${each.node}: ${rounded(each.total!)} (${parts.join(', ')})`);
    } else if (each.reasons) {
      const refused = outcome === 'placed' ? 'refused, ' : '';
      lines.push(`  ${each.node}: ${refused}${each.reasons.join(', ')} (${each.plugin})`);
    }
  }
  return lines.join('\n');
}

const rounded = (value: number): number => Math.round(value * 100) / 100;
