/**
 * The subresources behind which another server stands: `pods/log|exec|attach|portforward` at the agent of the pod's node,
 * `nodes/proxy` at a node's agent, `pods/proxy` and `services/proxy` at a pod's own port.
 *
 * Agents are asked with the kubelet's paths. exec, attach and port-forward leave HTTP: which protocol (WebSocket channels, SPDY/3.1, one in
 * the other) is agreed between the client and the agent, and the bytes pass through untouched once the agent has answered 101. What the agent refuses, the
 * client is told as the agent's Status.
 */
import { badRequest, type DynamicObject, type Kind } from '@orbitkit/core';
import { resourceNotFound } from '../http/answers.js';
import type { ApiRequest, ApiResponse, ApiUpgrade } from '../http/exchange.js';
import type { RequestInfo } from '../http/request-info.js';
import type { ServedKinds } from '../http/served-kinds.js';
import type { RequestContext, Resources } from '../registry/contract.js';
import { agentOf } from './agent-address.js';
import type { Backend, ClientCertificate } from './backend.js';
import { containerOf } from './container.js';
import { podLog } from './pod-log.js';
import { podBackend, serviceBackend, splitProxyName } from './proxy-target.js';
import { proxyThrough } from './reverse-proxy.js';

export interface NodeProxyCall {
  readonly request: ApiRequest;
  readonly info: RequestInfo;
  readonly kind: Kind;
  readonly context: RequestContext;
}

export interface NodeProxy {
  answer(call: NodeProxyCall): Promise<ApiResponse | ApiUpgrade>;
}

export interface NodeProxyOptions {
  readonly kinds: () => ServedKinds;
  readonly resources: Resources;
  /** With which the server proves itself to agents (CN kube-apiserver-kubelet-client). */
  readonly clientCertificate?: (() => Promise<ClientCertificate>) | undefined;
}

type Pod = DynamicObject;

export function nodeProxy({ kinds, resources, clientCertificate }: NodeProxyOptions): NodeProxy {
  async function read(call: NodeProxyCall, plural: string, name: string, namespace?: string): Promise<DynamicObject> {
    const kind = kinds().find('', 'v1', plural);
    if (!kind) throw resourceNotFound();
    return (await resources.get(call.context, kind, { name, namespace })).object() as DynamicObject;
  }

  async function agentOfPod(call: NodeProxyCall, pod: Pod): Promise<Backend> {
    const node = pod['spec']?.nodeName as string | undefined;
    if (!node) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
    return agentOf(await read(call, 'nodes', node), await clientCertificate?.());
  }

  async function log(call: NodeProxyCall): Promise<ApiResponse> {
    const { request, info } = call;
    if (info.verb !== 'get') throw badRequest('logs are read with GET');
    const pod = await read(call, 'pods', info.name!, info.namespace);
    const container = containerOf(pod, request.query.get('container'));
    return podLog({ request, pod, container, agent: () => agentOfPod(call, pod) });
  }

  async function stream(call: NodeProxyCall, action: 'exec' | 'attach'): Promise<ApiUpgrade> {
    const { request, info } = call;
    const { query } = request;
    const pod = await read(call, 'pods', info.name!, info.namespace);
    const wanted = ['stdin', 'stdout', 'stderr', 'tty'].filter(name => query.flag(name));
    if (!wanted.some(name => name !== 'tty'))
      throw badRequest('you must specify at least one of stdin, stdout, stderr');
    const commands = query.all('command');
    if (action === 'exec' && commands.length === 0) throw badRequest('you must specify at least 1 command for exec');
    const container = containerOf(pod, query.get('container'));
    const params = new URLSearchParams();
    if (action === 'exec') for (const command of commands) params.append('command', command);
    for (const name of wanted) params.append(name, 'true');
    const path = `/${action}/${encodeURIComponent(info.namespace!)}/${encodeURIComponent(info.name!)}/${encodeURIComponent(container)}`;
    return tunnelTo(call, await agentOfPod(call, pod), `${path}?${params}`);
  }

  async function portForward(call: NodeProxyCall): Promise<ApiUpgrade> {
    const { request, info } = call;
    const pod = await read(call, 'pods', info.name!, info.namespace);
    const params = new URLSearchParams(request.query.all('ports').map((port): [string, string] => ['ports', port]));
    const path = `/portForward/${encodeURIComponent(info.namespace!)}/${encodeURIComponent(info.name!)}`;
    return tunnelTo(call, await agentOfPod(call, pod), params.size > 0 ? `${path}?${params}` : path);
  }

  /** Checked last: what is wrong with the pod or its node is worth more to a person than what is wrong with the protocol. */
  function tunnelTo({ request }: NodeProxyCall, backend: Backend, path: string): ApiUpgrade {
    if (!request.upgrade) throw badRequest('Upgrade request required');
    return { tunnel: { backend, method: request.method, path } };
  }

  async function proxyTarget(call: NodeProxyCall): Promise<Backend> {
    const { info, kind } = call;
    if (kind.plural === 'nodes') {
      const { name } = splitProxyName(info.name!);
      return agentOf(await read(call, 'nodes', name), await clientCertificate?.());
    }
    const target = splitProxyName(info.name!);
    if (kind.plural === 'pods') return podBackend(await read(call, 'pods', target.name, info.namespace), target);
    const slices = kinds().find('discovery.k8s.io', 'v1', 'endpointslices');
    if (kind.plural !== 'services' || !slices) throw resourceNotFound();
    const service = await read(call, 'services', target.name, info.namespace);
    const { items } = await resources.list(call.context, slices, {
      namespace: info.namespace,
      labelSelector: `kubernetes.io/service-name=${target.name}`,
    });
    return serviceBackend(
      service,
      items.map(item => item.object() as DynamicObject),
      target,
    );
  }

  async function proxy(call: NodeProxyCall): Promise<ApiResponse | ApiUpgrade> {
    const { request, info } = call;
    if (info.rest === undefined && request.method === 'GET' && !request.upgrade) {
      const query = request.query.text === '' ? '' : `?${request.query.text}`;
      return { status: 301, headers: { location: `${request.path}/${query}` }, body: Buffer.alloc(0) };
    }
    return proxyThrough(await proxyTarget(call), request, info.rest ?? '');
  }

  return {
    async answer(call) {
      switch (call.info.subresource) {
        case 'log':
          return log(call);
        case 'exec':
        case 'attach':
          return stream(call, call.info.subresource);
        case 'portforward':
          return portForward(call);
        case 'proxy':
          return proxy(call);
        default:
          throw resourceNotFound();
      }
    },
  };
}
