/**
 * Fills Secrets of type `kubernetes.io/service-account-token` with `token`, `ca.crt` and `namespace`, for programs outside pods, and removes
 * them with their account. Source of the rules: kube-controller-manager `pkg/controller/serviceaccount/tokens_controller.go`.
 *
 * - The account is the one that the annotation `kubernetes.io/service-account.name` names; its uid is noted beside it. A Secret of an account
 *   that is gone, or is another one by now, is deleted.
 * - The token comes from the API server (TokenRequest) and is bound to the Secret: with the Secret it ends. Unlike upstream's it expires, after
 *   as long as the server allows (a year), and is replaced when four fifths of that have passed.
 * - What is filled in and then changed by others stays as they left it, as in upstream; what is missing is added.
 */
import { type authenticationv1, isNotFound, keyOf, Secret, ServiceAccount } from '@orbitkit/core';
import type { Controller, ControllerContext } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';

/** What stands in a Secret beside its token. */
export interface ServiceAccountTokensOptions {
  /** PEM of the cluster's authority, for `ca.crt`. A function is asked when the controller starts. Default: there is no `ca.crt`. */
  certificateAuthority?: string | (() => Promise<string> | string);
}

const name = 'serviceaccount-token-controller';
const secretType = 'kubernetes.io/service-account-token';
const nameAnnotation = 'kubernetes.io/service-account.name';
const uidAnnotation = 'kubernetes.io/service-account.uid';

/** The most that a server may give; it gives what it allows. */
const mostSeconds = 2 ** 32;
const renewAfter = 0.8;
/** Timers are not set for longer. */
const longestWaitMs = 24 * 3_600_000;

/** The controller of token Secrets. */
export function serviceAccountTokens(options: ServiceAccountTokensOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const { certificateAuthority: given } = options;
      const authority = typeof given === 'function' ? await given() : given;
      const secrets = context.informers.informer(Secret, {
        fieldSelector: `type=${secretType}`,
        indexers: { byAccount: secret => [accountKey(secret.metadata)] },
      });
      const accounts = context.informers.informer(ServiceAccount);
      const queue = controllerQueue(context, name);
      const registrations = [
        secrets.addHandler({
          onAdd: secret => queue.add(keyOf(secret)),
          onUpdate: (_, secret) => queue.add(keyOf(secret)),
        }),
        accounts.addHandler({
          onAdd: account => enqueueSecretsOf(account.metadata),
          onDelete: account => enqueueSecretsOf(account.metadata),
        }),
      ];
      function enqueueSecretsOf(account: { namespace?: string; name: string }): void {
        for (const secret of secrets.store.byIndex('byAccount', `${account.namespace}/${account.name}`))
          queue.add(keyOf(secret));
      }
      const reconcile = async (key: string): Promise<ReconcileResult> => {
        const cached = secrets.store.get(key);
        if (!cached) return undefined;
        return fill(context, cached.metadata, authority);
      };
      await reconcileLoop(context, { name, queue, informers: [secrets, accounts], reconcile }, registrations);
    },
  };
}

const accountKey = ({
  namespace,
  annotations,
}: {
  namespace?: string;
  annotations?: Readonly<Record<string, string>>;
}) => `${namespace}/${annotations?.[nameAnnotation] ?? ''}`;

const missing = (error: unknown): undefined => {
  if (isNotFound(error)) return undefined;
  throw error;
};

async function fill(
  { client, clock }: ControllerContext,
  of: { readonly name: string; readonly namespace?: string },
  authority: string | undefined,
): Promise<ReconcileResult> {
  const key = { name: of.name, namespace: of.namespace! };
  const secret = await client.get(Secret, key).catch(missing);
  if (!secret || secret.type !== secretType || secret.metadata.deletionTimestamp !== undefined) return undefined;
  const { annotations = {}, uid, resourceVersion } = secret.metadata;
  const accountName = annotations[nameAnnotation] ?? '';
  const account = await client.get(ServiceAccount, { name: accountName, namespace: key.namespace }).catch(missing);
  const noted = annotations[uidAnnotation];
  if (!account || (noted && noted !== account.metadata.uid)) {
    // Only this very version: its author may be about to mend it.
    await client.delete(Secret, key, { preconditions: { uid, resourceVersion } }).catch(missing);
    return undefined;
  }
  const data: Record<string, string> = { ...secret.data };
  const expires = data['token'] ? expiryOf(data['token']) : undefined;
  const due = expires !== undefined && clock.now() >= expires.at - (1 - renewAfter) * expires.lifeMs;
  if (!data['token'] || due) data['token'] = base64(await tokenFor(client, account.metadata, { name: key.name, uid }));
  data['namespace'] ??= base64(key.namespace);
  if (authority !== undefined) data['ca.crt'] ??= base64(authority);
  const changed = noted === undefined || Object.entries(data).some(([each, value]) => secret.data?.[each] !== value);
  if (changed) {
    const metadata = { ...secret.metadata, annotations: { ...annotations, [uidAnnotation]: account.metadata.uid } };
    await client.update(Secret, { ...secret, metadata, data });
  }
  const next = expiryOf(data['token']);
  if (next === undefined) return undefined;
  const wait = next.at - (1 - renewAfter) * next.lifeMs - clock.now();
  return { requeueAfter: Math.min(Math.max(wait, 1_000), longestWaitMs) };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function tokenFor(
  client: ControllerContext['client'],
  account: { name: string; namespace?: string },
  secret: { name: string; uid: string },
): Promise<string> {
  const answer = await client.createSubresource<authenticationv1.TokenRequest>(ServiceAccount, account, 'token', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: [],
      expirationSeconds: mostSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Secret', ...secret },
    },
  });
  return answer.status!.token;
}

/** Undefined for what is no token with an end: an author's own, or one of upstream's. */
function expiryOf(data: string): { at: number; lifeMs: number } | undefined {
  try {
    const payload = Buffer.from(data, 'base64').toString().split('.')[1] ?? '';
    const { exp, iat } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: number; iat?: number };
    if (typeof exp !== 'number' || typeof iat !== 'number') return undefined;
    return { at: exp * 1000, lifeMs: (exp - iat) * 1000 };
  } catch {
    return undefined;
  }
}
