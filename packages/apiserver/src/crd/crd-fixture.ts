/** For tests of custom resources: a server that follows definitions, and definitions to give it. */
import { builtinKinds, createClient, kindRegistry, silentLogger, systemClock } from '@orbitkit/core';
import { type TestServer, type TestServerOptions, testServer } from '../http/test-server.js';
import type { ServerResources } from '../registry/resources.js';
import { webhookCaller } from '../webhook/call.js';
import type { Definition } from './custom-kind.js';
import { followDefinitions, serveDefinitions } from './custom-resources.js';
import type { JsonSchema } from './structural.js';
import { webhookConversion } from './webhook-conversion.js';

export interface CrdServer extends TestServer {
  request(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<{ status: number; headers: Readonly<Record<string, string>>; body: any }>;
  /** Creates the definition and waits until it is served. */
  define(definition: object): Promise<Definition>;
}

export async function crdServer(options: TestServerOptions = {}): Promise<CrdServer> {
  const kinds = options.kinds ?? kindRegistry(builtinKinds);
  serveDefinitions(kinds);
  const call = webhookCaller();
  const stop = new AbortController();
  let following: Promise<void> | undefined;
  const server = await testServer({
    ...options,
    kinds,
    around: running => {
      const { cache, cluster } = running as ServerResources;
      following = followDefinitions(
        {
          cache,
          resources: running,
          kinds,
          clock: options.clock ?? systemClock,
          log: silentLogger,
          conversionOf: definition => webhookConversion(definition, call, cluster),
        },
        stop.signal,
      );
      return options.around?.(running) ?? running;
    },
  });
  const request: CrdServer['request'] = (method, path, body, headers = {}) =>
    server.json(path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }),
    });
  async function end(): Promise<void> {
    stop.abort(new Error('the test is over'));
    await following;
    await server.stop();
  }
  return {
    ...server,
    client: createClient(server.transport),
    request,
    async define(definition) {
      const created = await request('POST', crds, definition);
      if (created.status !== 201) throw new Error(`the definition was refused: ${JSON.stringify(created.body)}`);
      return established(request, created.body.metadata.name);
    },
    stop: end,
    [Symbol.asyncDispose]: end,
  };
}

export const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';

async function established(request: CrdServer['request'], name: string): Promise<Definition> {
  for (;;) {
    const { body } = await request('GET', `${crds}/${name}`);
    if (body.status?.conditions?.some((each: any) => each.type === 'Established' && each.status === 'True'))
      return body;
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

/** `widgets.example.com`, namespaced, one version v1 with this schema of spec. */
export function widgets(
  spec: JsonSchema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  version: object = {},
): any {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'], categories: ['all'] },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec,
                status: {
                  type: 'object',
                  properties: {
                    replicas: { type: 'integer' },
                    selector: { type: 'string' },
                    phase: { type: 'string' },
                  },
                },
              },
            },
          },
          ...version,
        },
      ],
    },
  };
}

export const widget = (name: string, spec: unknown = {}, rest: object = {}): any => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
  ...rest,
});

export const widgetPath = '/apis/example.com/v1/namespaces/default/widgets';
