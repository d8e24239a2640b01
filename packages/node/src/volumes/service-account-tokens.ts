/**
 * Tokens of service accounts for the pods of this node, as their projected volumes ask for them: requested from the API bound to the pod,
 * kept while they are good, and renewed when 80 % of their time or a day is over (upstream: kubelet `token manager`). A renewal that fails
 * is tried again at the next look at the volume; the older token goes on until it expires.
 */
import { type authenticationv1, type Client, type Clock, type Pod, ServiceAccount } from '@orbitkit/core';

export interface ServiceAccountTokens {
  /** @throws StatusError when there is no token that is still good. */
  token(pod: Pod, asked: TokenAsked, signal?: AbortSignal): Promise<string>;
  /** The pod is gone. */
  forget(podUid: string): void;
}

export interface TokenAsked {
  /** Default: the API's own. */
  readonly audience?: string | undefined;
  /** Default an hour. */
  readonly expirationSeconds?: number | undefined;
}

interface Kept {
  readonly token: string;
  readonly renewAt: number;
  readonly expiresAt: number;
}

const renewAfter = 0.8;
const renewAfterMs = 24 * 60 * 60_000;
const callMs = 10_000;

export function podTokens({ client, clock }: { client: Client; clock: Clock }): ServiceAccountTokens {
  /** By pod, then by what was asked. */
  const pods = new Map<string, Map<string, Kept>>();

  async function requested(pod: Pod, { audience, expirationSeconds }: TokenAsked, signal?: AbortSignal): Promise<Kept> {
    const { name, namespace, uid } = pod.metadata;
    const account = pod.spec.serviceAccountName ?? 'default';
    const startedAt = clock.now();
    const { status } = await client.createSubresource<authenticationv1.TokenRequest>(
      ServiceAccount,
      { namespace, name: account },
      'token',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          audiences: audience ? [audience] : [],
          expirationSeconds: expirationSeconds ?? 3600,
          boundObjectRef: { kind: 'Pod', apiVersion: 'v1', name, uid },
        },
      },
      { timeoutMs: callMs, ...(signal ? { signal } : {}) },
    );
    const expiresAt = Date.parse(status!.expirationTimestamp);
    const lifetimeMs = expiresAt - startedAt;
    return { token: status!.token, expiresAt, renewAt: startedAt + Math.min(lifetimeMs * renewAfter, renewAfterMs) };
  }

  return {
    async token(pod, asked, signal) {
      const { uid } = pod.metadata;
      const key = JSON.stringify([pod.spec.serviceAccountName, asked.audience, asked.expirationSeconds]);
      const known = pods.get(uid)?.get(key);
      if (known !== undefined && clock.now() < known.renewAt) return known.token;
      try {
        const kept = await requested(pod, asked, signal);
        const tokens = pods.get(uid) ?? new Map<string, Kept>();
        pods.set(uid, tokens.set(key, kept));
        return kept.token;
      } catch (error) {
        if (known !== undefined && clock.now() < known.expiresAt) return known.token;
        throw error;
      }
    },
    forget: uid => void pods.delete(uid),
  };
}
