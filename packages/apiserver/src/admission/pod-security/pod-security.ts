/**
 * Pod Security Admission: a namespace says by its labels which of the Pod Security Standards hold in it
 * (`pod-security.kubernetes.io/enforce`, `audit`, `warn`: privileged, baseline, restricted). Source and texts: pod-security-admission (v0.33).
 *
 * - `enforce` refuses pods. `audit` and `warn` let them come, with a note in the audit log, with a warning; they are also about the templates
 *   of workloads, whose author sees the warning then, not the controller.
 * - Labels that cannot be read are refused when they are written; stricter ones warn of pods that are there already.
 * - A namespace without labels has `defaults`, by default: everything may come. Exempt users, namespaces and runtime classes are not judged.
 * - A `-version` label pins the rules to those of that Kubernetes version; without one, or with `latest`, they are the newest.
 */
import { type corev1, type DynamicObject, invalid, notFound } from '@orbitkit/core';
import { sameJson } from '../../registry/json-value.js';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from '../contract.js';
import { refused } from '../functions.js';
import { type Level, minorOf, textOf, violationsOf } from './checks.js';

/** What upstream reads from its PodSecurityConfiguration. */
export interface PodSecurityOptions {
  /** Where a namespace says nothing. Default: privileged, all three. */
  defaults?: { enforce?: Level; audit?: Level; warn?: Level };
  /** Who and what is not judged. */
  exempt?: { usernames?: readonly string[]; namespaces?: readonly string[]; runtimeClasses?: readonly string[] };
}

const prefix = 'pod-security.kubernetes.io/';
const levels: readonly string[] = ['privileged', 'baseline', 'restricted'];
const modes = ['enforce', 'audit', 'warn'] as const;
const namespaces = { group: '', plural: 'namespaces' };
/** Existing pods that are looked at when a namespace becomes stricter (upstream's namespaceMaxPodsToCheck). */
const podsLookedAt = 3_000;

interface Standard {
  readonly level: Level;
  /** `latest` or `v1.30`. */
  readonly version: string;
}

type Policy = Readonly<Record<(typeof modes)[number], Standard>>;

const shown = ({ level, version }: Standard): string => JSON.stringify(`${level}:${version}`);

/** The template of a workload; undefined for kinds that have none. */
const templates: Readonly<Record<string, (object: any) => corev1.PodTemplateSpec | undefined>> = {
  '/podtemplates': object => object.template,
  '/replicationcontrollers': object => object.spec?.template,
  'apps/daemonsets': object => object.spec?.template,
  'apps/deployments': object => object.spec?.template,
  'apps/replicasets': object => object.spec?.template,
  'apps/statefulsets': object => object.spec?.template,
  'batch/cronjobs': object => object.spec?.jobTemplate?.spec?.template,
  'batch/jobs': object => object.spec?.template,
};

/** Upstream's PodSecurity. Refusals are 403 and name each field that breaks the standard. */
export function podSecurity({ defaults = {}, exempt = {} }: PodSecurityOptions = {}): AdmissionPlugin {
  function policyOf(labels: Readonly<Record<string, string>>): Policy {
    const standard = (mode: (typeof modes)[number]): Standard => {
      const given = labels[`${prefix}${mode}`];
      // What cannot be read is taken for the strictest.
      const level =
        given === undefined ? (defaults[mode] ?? 'privileged') : levels.includes(given) ? given : 'restricted';
      return { level: level as Level, version: labels[`${prefix}${mode}-version`] ?? 'latest' };
    };
    return { enforce: standard('enforce'), audit: standard('audit'), warn: standard('warn') };
  }

  /** By the namespace as it is kept, which is another one after each change. */
  const policies = new WeakMap<object, Policy>();
  function policyOfNamespace(namespace: NonNullable<ReturnType<AdmissionCluster['peek']>>): Policy {
    let policy = policies.get(namespace);
    if (policy === undefined) {
      policy = policyOf(namespace.object().metadata.labels ?? {});
      policies.set(namespace, policy);
    }
    return policy;
  }

  async function policyFor({ namespace, signal }: AdmissionRequest, cluster: AdmissionCluster): Promise<Policy> {
    const key = { name: namespace! };
    const found = cluster.peek(namespaces, key) ?? (await cluster.read(namespaces, key, signal));
    if (!found) throw notFound(namespaces, namespace!);
    return policyOfNamespace(found);
  }

  async function judge(
    request: AdmissionRequest,
    cluster: AdmissionCluster,
    pod: Pick<corev1.Pod, 'spec'> & { metadata?: Partial<corev1.Pod['metadata']> | undefined },
    enforcing: boolean,
  ): Promise<void> {
    if (exempt.runtimeClasses?.includes(pod.spec.runtimeClassName ?? '')) return;
    const { enforce, audit, warn } = await policyFor(request, cluster);
    if (enforcing) {
      request.annotate(`${prefix}enforce-policy`, `${enforce.level}:${enforce.version}`);
      const violations = violationsOf(enforce.level, pod, minorOf(enforce.version));
      if (violations.length > 0)
        throw refused(request, `violates PodSecurity ${shown(enforce)}: ${textOf(violations)}`);
    }
    const would = (standard: Standard): string | undefined => {
      const violations = violationsOf(standard.level, pod, minorOf(standard.version));
      return violations.length > 0 ? `would violate PodSecurity ${shown(standard)}: ${textOf(violations)}` : undefined;
    };
    const audited = would(audit);
    if (audited) request.annotate(`${prefix}audit-violations`, audited);
    const warned = would(warn);
    if (warned) request.warn(warned);
  }

  /** Labels that cannot be read; pods that would no longer be let in. */
  async function judgeNamespace(request: AdmissionRequest, cluster: AdmissionCluster): Promise<void> {
    const { kind, name, object, oldObject, signal } = request;
    const labels = object!.metadata.labels ?? {};
    const before = oldObject?.metadata.labels ?? {};
    const errors = labelErrors(labels);
    if (errors.length > 0) {
      // Labels that were there before the rule stay writable.
      if (oldObject === undefined || !sameJson(labelErrors(before), errors)) throw invalid(kind, name, errors);
      return;
    }
    const { enforce } = policyOf(labels);
    const former = policyOf(before).enforce;
    if (oldObject === undefined || levels.indexOf(enforce.level) <= levels.indexOf(former.level)) return;
    if (exempt.namespaces?.includes(name)) return;
    const pods = await cluster.list({ group: '', plural: 'pods' }, name, signal);
    const violating = new Map<string, string[]>();
    for (const stored of pods.slice(0, podsLookedAt)) {
      const pod = stored.object() as unknown as corev1.Pod;
      if (exempt.runtimeClasses?.includes(pod.spec.runtimeClassName ?? '')) continue;
      const reasons = violationsOf(enforce.level, pod, minorOf(enforce.version)).map(each => each.reason);
      const text = reasons.join(', ');
      if (reasons.length > 0) violating.set(text, [...(violating.get(text) ?? []), pod.metadata.name]);
    }
    if (pods.length > podsLookedAt) {
      request.warn(
        `new PodSecurity enforce level only checked against the first ${podsLookedAt} of ${pods.length} existing pods`,
      );
    }
    if (violating.size === 0) return;
    request.warn(
      `existing pods in namespace ${JSON.stringify(name)} violate the new PodSecurity enforce level ${shown(enforce)}`,
    );
    const lines = [...violating].map(([reasons, names]) => {
      const [first, ...others] = names.sort();
      const more = others.length === 0 ? '' : ` (and ${others.length} other pod${others.length === 1 ? '' : 's'})`;
      return `${first}${more}: ${reasons}`;
    });
    for (const line of lines.sort()) request.warn(line);
  }

  return {
    name: 'PodSecurity',
    validate(request, cluster) {
      const { kind, subresource, operation, object, oldObject, namespace, user } = request;
      if (operation === 'DELETE' || object === undefined) return;
      if (kind.group === '' && kind.plural === 'namespaces')
        return subresource === undefined ? judgeNamespace(request, cluster) : undefined;
      if (namespace === undefined) return;
      const isPod = kind.group === '' && kind.plural === 'pods';
      const template = isPod || subresource !== undefined ? undefined : templates[`${kind.group}/${kind.plural}`];
      if (!isPod && !template) return;
      if (exempt.namespaces?.includes(namespace) || exempt.usernames?.includes(user.username)) return;
      // Most namespaces demand nothing: that must cost next to nothing.
      const known = cluster.peek(namespaces, { name: namespace });
      const policy = known && policyOfNamespace(known);
      if (policy && modes.every(mode => policy[mode].level === 'privileged')) return;
      if (isPod) {
        if (subresource !== undefined && subresource !== 'ephemeralcontainers') return;
        if (oldObject !== undefined && !isSignificant(object, oldObject)) return;
        return judge(request, cluster, object as unknown as corev1.Pod, true);
      }
      const pod = template!(object);
      if (pod?.spec === undefined || (oldObject && sameJson(pod, template!(oldObject)))) return;
      return judge(request, cluster, pod as never, false);
    },
  };
}

/** Whether an update of a pod touches what the standards are about. What they judge cannot change but by containers and images. */
function isSignificant(object: DynamicObject, old: Readonly<DynamicObject>): boolean {
  const of = ({ spec }: corev1.Pod): unknown[] =>
    [...(spec.containers ?? []), ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])].map(each => [
      each.name,
      each.image,
    ]);
  const [next, before] = [object as unknown as corev1.Pod, old as unknown as corev1.Pod];
  return (
    !sameJson(of(next), of(before)) || !sameJson(next.metadata.annotations ?? {}, before.metadata.annotations ?? {})
  );
}

function labelErrors(labels: Readonly<Record<string, string>>): Parameters<typeof invalid>[2][number][] {
  return modes.flatMap(mode => {
    const errors: Parameters<typeof invalid>[2][number][] = [];
    const check = (label: string, legal: (value: string) => boolean, why: string): void => {
      const value = labels[label];
      if (value === undefined || legal(value)) return;
      const message = `Invalid value: ${JSON.stringify(value)}: ${why}`;
      errors.push({ field: `metadata.labels[${label}]`, type: 'FieldValueInvalid', message });
    };
    check(`${prefix}${mode}`, value => levels.includes(value), `must be one of ${levels.join(', ')}`);
    check(
      `${prefix}${mode}-version`,
      value => /^(?:latest|v1\.(?:0|[1-9]\d*))$/.test(value),
      'must be "latest" or "v1.x"',
    );
    return errors;
  });
}
