/** Defaults of admission webhooks and policies. Source: admissionregistration/v1 defaults (v0.33). */
import type { admissionregistrationv1 } from '../generated/types/index.js';

type Mutating = admissionregistrationv1.MutatingWebhook;
type Validating = admissionregistrationv1.ValidatingWebhook;

function defaultWebhook(webhook: Mutating | Validating): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  if (webhook.clientConfig?.service) webhook.clientConfig.service.port ??= 443;
  for (const rule of webhook.rules ?? []) rule.scope ??= '*';
}

export function defaultMutatingWebhooks({ webhooks }: admissionregistrationv1.MutatingWebhookConfiguration): void {
  for (const webhook of webhooks ?? []) {
    defaultWebhook(webhook);
    webhook.reinvocationPolicy ??= 'Never';
  }
}

export function defaultValidatingWebhooks({ webhooks }: admissionregistrationv1.ValidatingWebhookConfiguration): void {
  for (const webhook of webhooks ?? []) defaultWebhook(webhook);
}

function defaultMatch(match: admissionregistrationv1.MatchResources | undefined): void {
  if (!match) return;
  match.matchPolicy ??= 'Equivalent';
  match.namespaceSelector ??= {};
  match.objectSelector ??= {};
  for (const rule of [...(match.resourceRules ?? []), ...(match.excludeResourceRules ?? [])]) rule.scope ??= '*';
}

export function defaultAdmissionPolicy({ spec }: admissionregistrationv1.ValidatingAdmissionPolicy): void {
  spec.failurePolicy ??= 'Fail';
  defaultMatch(spec.matchConstraints);
}

export function defaultAdmissionPolicyBinding({
  spec,
}: admissionregistrationv1.ValidatingAdmissionPolicyBinding): void {
  defaultMatch(spec.matchResources);
}
