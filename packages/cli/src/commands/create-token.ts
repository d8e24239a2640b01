/** `orbit create token NAME`: a token of a service account, printed alone so that it can be put into a file or variable. */
import { type authenticationv1, ServiceAccount } from '@orbitkit/core';
import type { Session } from '../session.js';
import { CommandError } from '../terminal.js';

export interface TokenFlags {
  audience?: string[];
  duration?: string;
  boundObjectKind?: string;
  boundObjectName?: string;
}

const unit: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1 };

function seconds(text: string): number {
  const match = /^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (!match || text === '') throw new CommandError(`--duration ${text}: a time such as 10m, 24h or 1h30m is required`);
  return ['h', 'm', 's'].reduce((sum, name, i) => sum + Number(match[i + 1] ?? 0) * unit[name]!, 0);
}

export async function createToken(session: Session, name: string, flags: TokenFlags): Promise<string> {
  const { boundObjectKind: kind, boundObjectName } = flags;
  if ((kind === undefined) !== (boundObjectName === undefined))
    throw new CommandError('--bound-object-kind and --bound-object-name belong together: give both');
  const { status } = await session.client.createSubresource<authenticationv1.TokenRequest>(
    ServiceAccount,
    { namespace: session.namespace, name },
    'token',
    {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        audiences: flags.audience ?? [],
        ...(flags.duration === undefined ? {} : { expirationSeconds: seconds(flags.duration) }),
        ...(kind === undefined ? {} : { boundObjectRef: { kind, apiVersion: 'v1', name: boundObjectName } }),
      },
    },
  );
  return status!.token;
}
