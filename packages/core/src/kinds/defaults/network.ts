/** Defaults of group networking.k8s.io. Source: networking/v1 defaults (v0.33). */
import type { networkingv1 } from '../generated/types/index.js';

export function defaultIngressClass({ spec }: networkingv1.IngressClass): void {
  if (spec?.parameters) spec.parameters.scope ??= 'Cluster';
}

export function defaultNetworkPolicy({ spec }: networkingv1.NetworkPolicy): void {
  if (!spec) return;
  for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
    for (const port of rule.ports ?? []) port.protocol ??= 'TCP';
  if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress'];
}
