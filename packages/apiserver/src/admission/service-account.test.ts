import { type corev1, manualClock, Pod } from '@orbitkit/core';
import { describe, expect, it } from 'vitest';
import type { AdmissionCluster, AdmissionRequest } from './contract.js';
import { serviceAccount, tokenMountPath } from './service-account.js';

/** A cluster with these objects, by `plural/namespace/name`. */
function cluster(objects: Record<string, object>) {
  const find = (kind: { plural: string }, { namespace, name }: { namespace?: string | undefined; name: string }) => {
    const object = objects[`${kind.plural}/${namespace}/${name}`];
    return object && ({ object: () => object } as never);
  };
  const clock = manualClock();
  const reader = {
    peek: find,
    read: async (kind: never, key: never) => find(kind, key),
  } as unknown as AdmissionCluster;
  return { clock, reader };
}

const account = (more: object = {}) => ({ metadata: {}, ...more });
const kept = {
  'serviceaccounts/kube-system/default': account(),
  'serviceaccounts/shop/default': account(),
  'configmaps/kube-system/kube-root-ca.crt': {},
};

async function admitted(objects: Record<string, object>, spec: Partial<corev1.PodSpec> = {}, metadata: object = {}) {
  const { clock, reader } = cluster(objects);
  const object = {
    metadata: { name: 'p', namespace: 'shop', ...metadata },
    spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
  };
  const request = {
    kind: Pod,
    operation: 'CREATE',
    namespace: 'shop',
    name: 'p',
    object,
    signal: new AbortController().signal,
  };
  const done = Promise.resolve(serviceAccount({ clock }).admit!(request as unknown as AdmissionRequest, reader));
  let over = false;
  done
    .catch(() => undefined)
    .finally(() => {
      over = true;
    });
  for (let i = 0; i < 20 && !over; i++) {
    await clock.advance(100);
    await new Promise(resolve => setImmediate(resolve));
  }
  await done;
  return object.spec as corev1.PodSpec;
}

describe('a new pod', () => {
  it('runs as default, with token, authority and namespace where programs look for them', async () => {
    const spec = await admitted(kept);
    expect(spec.serviceAccountName).toBe('default');
    const [volume] = spec.volumes!;
    expect(volume!.name).toMatch(/^kube-api-access-[a-z0-9]{5}$/);
    expect(volume!.projected!.sources!.map(source => Object.keys(source)[0])).toEqual([
      'serviceAccountToken',
      'configMap',
      'downwardAPI',
    ]);
    expect(spec.containers[0]!.volumeMounts).toEqual([
      { name: volume!.name, readOnly: true, mountPath: tokenMountPath },
    ]);
  });

  it('has none when pod or account says so; the pod is asked first', async () => {
    const off = { ...kept, 'serviceaccounts/shop/default': account({ automountServiceAccountToken: false }) };
    expect((await admitted(kept, { automountServiceAccountToken: false })).volumes).toBeUndefined();
    expect((await admitted(off)).volumes).toBeUndefined();
    expect((await admitted(off, { automountServiceAccountToken: true })).volumes).toHaveLength(1);
    expect(
      (await admitted(kept, {}, { annotations: { 'kubernetes.io/config.mirror': 'x' } })).serviceAccountName,
    ).toBeUndefined();
  });

  it("keeps a mount of its own at that place, and takes the account's pull secrets", async () => {
    const own = { name: 'c', image: 'x', volumeMounts: [{ name: 'mine', mountPath: tokenMountPath }] };
    expect((await admitted(kept, { containers: [own] })).volumes).toBeUndefined();
    const pulls = { ...kept, 'serviceaccounts/shop/default': account({ imagePullSecrets: [{ name: 'registry' }] }) };
    expect((await admitted(pulls)).imagePullSecrets).toEqual([{ name: 'registry' }]);
  });

  it('of an account that is not there is refused, after a moment in which it may still come', async () => {
    await expect(admitted(kept, { serviceAccountName: 'nobody' })).rejects.toThrow(
      'pods "p" is forbidden: error looking up service account shop/nobody: serviceaccount "nobody" not found',
    );
  });

  it('is taken as it is where nobody keeps accounts, and without a token where nobody publishes the authority', async () => {
    expect((await admitted({})).volumes).toBeUndefined();
    const { 'configmaps/kube-system/kube-root-ca.crt': _, ...unpublished } = kept;
    expect((await admitted(unpublished)).volumes).toBeUndefined();
  });
});
