/** What tells an API server of a webhook server: one configuration of each type, with a webhook for each kind, to be applied as it is. */
import type { Draft, MutatingWebhookConfiguration, ResourceRef, ValidatingWebhookConfiguration } from '@orbitkit/core';
import type { Hook } from './webhook-server.js';

/** How the API server reaches the webhooks: by address, or by service. */
export interface ClientConfig {
  /** `https://host:port`, without a path. */
  url?: string;
  service?: { namespace: string; name: string; port?: number };
  /** PEM of the authority, in base64. */
  caBundle: string;
}

/** Absent: there is no webhook of that type. */
export interface WebhookConfigurations {
  validating?: Draft<ValidatingWebhookConfiguration>;
  mutating?: Draft<MutatingWebhookConfiguration>;
}

/** @throws Error when it is not said where the webhooks are. */
export function configurationsOf(name: string, config: ClientConfig, hooks: readonly Hook[]): WebhookConfigurations {
  if (!config.url && !config.service)
    throw new Error(
      'an API server has to know where the webhooks are: give `url` (as told to `listening`) or `service`',
    );
  const of = (type: Hook['type']) => {
    const webhooks = hooks
      .filter(hook => hook.type === type)
      .map(({ path, kind }) => webhookOf(type, kind, path, config));
    return webhooks.length > 0 ? { [type]: { metadata: { name }, webhooks } } : {};
  };
  return { ...of('validating'), ...of('mutating') };
}

function webhookOf(type: Hook['type'], kind: ResourceRef<any>, path: string, { url, service, caBundle }: ClientConfig) {
  const { group, version, plural } = kind;
  return {
    name: `${type === 'validating' ? 'validate' : 'mutate'}.${plural}.${group || 'core'}.orbitkit.io`.toLowerCase(),
    clientConfig: {
      caBundle,
      ...(service ? { service: { ...service, path } } : { url: `${url?.replace(/\/$/, '')}${path}` }),
    },
    rules: [{ apiGroups: [group], apiVersions: [version], operations: ['CREATE', 'UPDATE'], resources: [plural] }],
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    failurePolicy: 'Fail',
    timeoutSeconds: 10,
  };
}
