/**
 * Rules of the kinds that describe the cluster and what happens in it: Namespace, Node, Lease, Event, Binding. Source:
 * core/validation and coordination/validation (v0.33).
 */
import { dnsSubdomainProblem, labelValueProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { coordinationv1, corev1 } from '../generated/types/index.js';
import { cidrProblem } from './forms.js';
import { checkFinalizers } from './metadata.js';
import type { Report } from './report.js';
import { checkAmounts } from './resources.js';

export function checkNamespace(report: Report, namespace: corev1.Namespace): void {
  checkFinalizers(report, namespace.spec?.finalizers, 'spec.finalizers');
}

export function checkNode(report: Report, node: corev1.Node, previous?: corev1.Node): void {
  const { spec, status } = node;
  const taints = new Set<string>();
  for (const [index, taint] of (spec.taints ?? []).entries()) {
    const field = `spec.taints[${index}]`;
    report.form(`${field}.key`, taint.key, qualifiedNameProblem(taint.key));
    report.form(`${field}.value`, taint.value ?? '', labelValueProblem(taint.value ?? ''));
    if (!taint.effect) report.required(`${field}.effect`);
    const key = `${taint.key}:${taint.effect}`;
    if (taints.has(key)) report.duplicate(field, taint);
    taints.add(key);
  }
  for (const [index, cidr] of (spec.podCIDRs ?? []).entries())
    report.form(`spec.podCIDRs[${index}]`, cidr, cidrProblem(cidr));
  if (spec.podCIDR) {
    report.form('spec.podCIDR', spec.podCIDR, cidrProblem(spec.podCIDR));
    if (spec.podCIDRs?.length && spec.podCIDRs[0] !== spec.podCIDR) {
      report.invalid('spec.podCIDRs', spec.podCIDRs, 'first value must match `podCIDR`');
    }
  }
  const addresses = new Set<string>();
  for (const [index, { type, address }] of (status?.addresses ?? []).entries()) {
    const key = `${type}/${address}`;
    if (addresses.has(key)) report.duplicate(`status.addresses[${index}]`, { type, address });
    addresses.add(key);
  }
  checkAmounts(report, status?.capacity, 'status.capacity');
  checkAmounts(report, status?.allocatable, 'status.allocatable');
  if (!previous) return;
  const before = previous.spec;
  if (before.providerID && spec.providerID !== before.providerID) {
    report.forbidden('spec.providerID', 'node updates may not change providerID except from "" to valid');
  }
  if (before.podCIDRs?.length && JSON.stringify(before.podCIDRs) !== JSON.stringify(spec.podCIDRs)) {
    report.forbidden('spec.podCIDRs', 'node updates may not change podCIDR except from "" to valid');
  }
}

export function checkLease(report: Report, lease: coordinationv1.Lease): void {
  const { spec } = lease;
  report.positive('spec.leaseDurationSeconds', spec.leaseDurationSeconds);
  report.notNegative('spec.leaseTransitions', spec.leaseTransitions);
  if (spec.preferredHolder && !spec.strategy)
    report.forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined');
}

/** An event lives in the namespace of its object; one about a cluster-scoped object in `default`. */
export function checkEvent(report: Report, event: corev1.Event): void {
  const about = event.involvedObject?.namespace;
  const namespace = event.metadata.namespace;
  if (about ? about !== namespace : namespace !== 'default' && namespace !== 'kube-system') {
    report.invalid('involvedObject.namespace', about ?? '', 'does not match event.namespace');
  }
}

export function checkBinding(report: Report, binding: corev1.Binding): void {
  const { kind, name } = binding.target ?? {};
  if (kind && kind !== 'Node') report.unsupported('target.kind', kind, ['Node', '<empty>']);
  if (!name) report.required('target.name');
  else report.form('target.name', name, dnsSubdomainProblem(name));
}
