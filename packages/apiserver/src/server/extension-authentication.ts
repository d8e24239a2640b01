/**
 * The ConfigMap `kube-system/extension-apiserver-authentication`: by it an API server that stands beside this one (a metrics adapter, an
 * admission server) knows the cluster's authority of clients, and a front proxy's. Written at the start and when a certificate is renewed;
 * entries of others stay. Who may read it: `extension-apiserver-authentication-reader`.
 * Source: kube-apiserver `controlplane/controller/clusterauthenticationtrust`.
 */
import {
  type DynamicObject,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type Kind,
  type KindRegistry,
} from '@orbitkit/core';
import { type FrontProxyOptions, frontProxyHeaders } from '../authentication/index.js';
import type { RequestContext, Resources } from '../registry/contract.js';

export interface ExtensionAuthenticationOptions {
  readonly resources: Resources;
  readonly kinds: KindRegistry;
  readonly signal: AbortSignal;
  /** PEM. */
  readonly clientAuthority: string;
  readonly frontProxy: FrontProxyOptions | undefined;
}

const key = { name: 'extension-apiserver-authentication', namespace: 'kube-system' };
const publisher = { username: 'system:apiserver', groups: ['system:masters'] };

function dataOf(clientAuthority: string, proxy: FrontProxyOptions | undefined): Record<string, string> {
  if (proxy === undefined) return { 'client-ca-file': clientAuthority };
  const headers = { ...frontProxyHeaders, ...proxy };
  return {
    'client-ca-file': clientAuthority,
    'requestheader-allowed-names': JSON.stringify(proxy.allowedNames ?? []),
    'requestheader-client-ca-file': proxy.clientAuthority,
    'requestheader-extra-headers-prefix': JSON.stringify(headers.extraHeaderPrefixes),
    'requestheader-group-headers': JSON.stringify(headers.groupHeaders),
    'requestheader-uid-headers': JSON.stringify(headers.uidHeaders),
    'requestheader-username-headers': JSON.stringify(headers.usernameHeaders),
  };
}

/** Nothing when ConfigMaps are not served. */
export async function publishExtensionAuthentication(options: ExtensionAuthenticationOptions): Promise<void> {
  const { resources, kinds, signal, clientAuthority, frontProxy } = options;
  const kind = kinds.kinds.find((each: Kind) => each.group === '' && each.plural === 'configmaps');
  if (kind === undefined) return;
  const context: RequestContext = { user: publisher, signal, warn: () => undefined };
  const data = dataOf(clientAuthority, frontProxy);
  const found = await resources.get(context, kind, key).catch(error => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  try {
    if (found === undefined) {
      await resources.create(context, kind, { namespace: key.namespace }, { value: { metadata: { ...key }, data } });
      return;
    }
    const present = (found.object()['data'] ?? {}) as Record<string, string>;
    if (Object.entries(data).every(([name, text]) => present[name] === text)) return;
    // An update consumes its body; what a reader gets is everybody's.
    const value = JSON.parse(found.bytes.toString()) as DynamicObject;
    await resources.update(context, kind, key, { value: { ...value, data: { ...present, ...data } } });
  } catch (error) {
    // Another server of the same store says the same.
    if (!isAlreadyExists(error) && !isConflict(error)) throw error;
  }
}
