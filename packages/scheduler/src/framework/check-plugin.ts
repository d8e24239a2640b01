/** What is wrong with a plugin, before it decides anything: whose, which field, and what it takes. For plugins that no compiler has seen. */
import type { ClusterEventType } from './event.js';
import type { Plugin } from './plugin.js';

const points = [
  ...['preEnqueue', 'less', 'preFilter', 'filter', 'postFilter', 'preScore', 'score', 'normalizeScore', 'reserve'],
  ...['unreserve', 'permit', 'preBind', 'bind', 'postBind', 'compile'],
] as const satisfies (keyof Plugin)[];
const others = ['nodeJoined', 'nodeLeft', 'attach', 'sign'] as const satisfies (keyof Plugin)[];

const eventTypes: Readonly<Record<ClusterEventType, true>> = {
  NodeAdd: true,
  NodeDelete: true,
  NodeAllocatable: true,
  NodeLabel: true,
  NodeTaint: true,
  NodeReady: true,
  PodAdd: true,
  PodLabel: true,
  PodTerminating: true,
  PodScaleDown: true,
  PodDelete: true,
  NamespaceLabel: true,
  PersistentVolume: true,
  PersistentVolumeClaim: true,
  StorageClass: true,
  CSINode: true,
  PodGroup: true,
  NodeMetrics: true,
};

/** Undefined when it is one. That it does nothing at all is said only with `mustAct`. */
export function pluginProblem(plugin: unknown, options: { mustAct?: boolean } = {}): string | undefined {
  if (typeof plugin === 'function') return 'a function, which is no plugin: call it, as in roundRobin()';
  if (typeof plugin !== 'object' || plugin === null)
    return `${plugin === null ? 'null' : typeof plugin}, which is no plugin`;
  const given = plugin as Readonly<Record<string, unknown>>;
  const { name, weight, events } = given;
  if (typeof name !== 'string' || name === '') return 'a plugin needs a name';
  const own = points.filter(point => given[point] !== undefined);
  if (options.mustAct && own.length === 0)
    return `plugin "${name}" does nothing; a plugin has one of ${points.join(', ')}`;
  const wrong = [...points, ...others].find(point => given[point] !== undefined && typeof given[point] !== 'function');
  if (wrong) return `plugin "${name}": ${wrong} is no function`;
  if (weight !== undefined && !(typeof weight === 'number' && Number.isFinite(weight) && weight >= 0))
    return `plugin "${name}": weight is ${String(weight)}; a weight is a number, 0 or more`;
  return events === undefined ? undefined : eventsProblem(name, events);
}

function eventsProblem(name: string, events: unknown): string | undefined {
  if (!Array.isArray(events)) return `plugin "${name}": events is no list`;
  for (const [i, each] of events.entries()) {
    const at = `plugin "${name}": events[${i}]`;
    const type = typeof each === 'string' ? each : (each as { type?: unknown } | null)?.type;
    if (typeof type !== 'string' || !Object.hasOwn(eventTypes, type))
      return `${at} is "${String(type)}"; there are ${Object.keys(eventTypes).join(', ')}`;
    if (typeof each !== 'string' && typeof each.hint !== 'function') return `${at}.hint is no function`;
  }
  return undefined;
}
