/**
 * Under which account a pod runs, and how it proves it: `default` when it names none; unless somebody said no, a projected volume with a token,
 * the cluster's authority and the namespace at `/var/run/secrets/kubernetes.io/serviceaccount`. Source and texts: upstream
 * `plugin/pkg/admission/serviceaccount`.
 *
 * A cluster in which nobody keeps service accounts (a server alone, in a test) takes pods without one; where nobody publishes the
 * authority (`kube-root-ca.crt`), no token is mounted. Both are seen in kube-system.
 */
import { randomInt } from 'node:crypto';
import { type Clock, type corev1, StatusError, systemClock } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from './contract.js';

export const tokenMountPath = '/var/run/secrets/kubernetes.io/serviceaccount';
const rootAuthority = 'kube-root-ca.crt';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const accounts = { group: '', plural: 'serviceaccounts' };
const configMaps = { group: '', plural: 'configmaps' };
/** A little more than an hour: by this number upstream's own are recognised. */
const expirationSeconds = 3607;
/** The account of a new namespace is made a moment after it. */
const attempts = 10;
const attemptMs = 100;

/** Upstream's ServiceAccount. A pod whose account does not exist is refused with 403; a new one is waited for shortly. */
export function serviceAccount(options: { clock?: Clock } = {}): AdmissionPlugin {
  const clock = options.clock ?? systemClock;

  async function accountOf(
    request: AdmissionRequest,
    reader: AdmissionReader,
    name: string,
  ): Promise<corev1.ServiceAccount | undefined> {
    const key = { namespace: request.namespace, name };
    const known = reader.peek(accounts, key);
    if (known !== undefined) return known.object() as unknown as corev1.ServiceAccount;
    if (reader.peek(accounts, { namespace: 'kube-system', name: 'default' }) === undefined) return undefined;
    for (let attempt = 1; ; attempt++) {
      const found = await reader.read(accounts, key, request.signal);
      if (found !== undefined) return found.object() as unknown as corev1.ServiceAccount;
      if (attempt >= attempts) break;
      await clock.sleep(attemptMs, request.signal);
    }
    throw new StatusError(
      'Forbidden',
      `pods ${JSON.stringify(request.name)} is forbidden: error looking up service account ${request.namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`,
      { details: { name: request.name, kind: 'pods' } },
    );
  }

  return {
    name: 'ServiceAccount',
    async admit(request, reader) {
      const { kind, operation, subresource, object } = request;
      if (kind.plural !== 'pods' || kind.group !== '' || operation !== 'CREATE' || subresource !== undefined) return;
      const pod = object as unknown as corev1.Pod;
      // A mirror pod shows what an agent runs already; it has nothing of the API.
      if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return;
      const { spec } = pod;
      spec.serviceAccountName ||= spec.serviceAccount || 'default';
      spec.serviceAccount = spec.serviceAccountName;
      const account = await accountOf(request, reader, spec.serviceAccountName);
      if (account === undefined) return;
      if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length)
        spec.imagePullSecrets = account.imagePullSecrets.map(({ name }) => ({ ...(name ? { name } : {}) }));
      const wanted = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
      const published = reader.peek(configMaps, { namespace: 'kube-system', name: rootAuthority }) !== undefined;
      if (wanted && published) mountToken(spec);
    },
  };
}

/** Changes nothing when every container mounts something there already. */
function mountToken(spec: corev1.PodSpec): void {
  const without = [...(spec.initContainers ?? []), ...spec.containers].filter(
    container => !container.volumeMounts?.some(({ mountPath }) => mountPath === tokenMountPath),
  );
  if (without.length === 0) return;
  const prefix = 'kube-api-access-';
  let name = spec.volumes?.find(volume => volume.name.startsWith(prefix) && volume.projected)?.name;
  if (name === undefined) {
    name = `${prefix}${suffix()}`;
    spec.volumes = [...(spec.volumes ?? []), tokenVolume(name)];
  }
  for (const container of without)
    container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath: tokenMountPath }];
}

const tokenVolume = (name: string): corev1.Volume => ({
  name,
  projected: {
    defaultMode: 0o644,
    sources: [
      { serviceAccountToken: { expirationSeconds, path: 'token' } },
      { configMap: { name: rootAuthority, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
      {
        downwardAPI: {
          items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
        },
      },
    ],
  },
});

const letters = 'bcdfghjklmnpqrstvwxz2456789';
const suffix = (): string => Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('');
