/** Puts the parts of request handling together for one set of resources: routes, discovery, OpenAPI, health, the node proxy. */
import { type Clock, type KindRegistry, type Logger, type Metrics, openApiV3 } from '@orbitkit/core';
import type { Auditor } from '../audit/index.js';
import type { FlowControl } from '../fairness/index.js';
import type { ApiHandler, ApiRequest, ApiResponse } from '../http/exchange.js';
import { type AccessCheck, apiHandler, type RequestRecord } from '../http/handler.js';
import type { HealthEndpoint } from '../http/health.js';
import { nonResourceRoutes } from '../http/non-resource-routes.js';
import { resourceRoutes } from '../http/resource-routes.js';
import { type ServedKinds, servedKinds } from '../http/served-kinds.js';
import { serverVersion } from '../http/version.js';
import type { ClientCertificate } from '../node-proxy/backend.js';
import { nodeProxy } from '../node-proxy/node-proxy.js';
import { openApiDocuments } from '../openapi/documents.js';
import type { Resources } from '../registry/contract.js';
import { patchTypesOf } from '../registry/patch.js';

export interface RequestHandlerOptions {
  readonly kinds: KindRegistry;
  readonly resources: Resources;
  readonly access: AccessCheck;
  readonly health: readonly HealthEndpoint[];
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly agentCertificate?: (() => Promise<ClientCertificate>) | undefined;
  readonly requestTimeoutMs?: number | undefined;
  readonly audit?: ((record: RequestRecord) => void) | undefined;
  /** What administrators do beside the API, by path. */
  readonly operations?: Readonly<Record<string, (request: ApiRequest) => Promise<ApiResponse>>> | undefined;
  readonly auditor?: Auditor | undefined;
  readonly flowControl?: FlowControl | undefined;
  /** Documents beside discovery, by path. */
  readonly documents?: Readonly<Record<string, () => Promise<ApiResponse>>> | undefined;
}

export function requestHandler(options: RequestHandlerOptions): ApiHandler {
  const { resources, access, clock, log, metrics } = options;
  const version = serverVersion();
  let served: ServedKinds | undefined;
  options.kinds.onChange(() => {
    served = undefined;
  });
  const kinds = () => {
    served ??= servedKinds(options.kinds.kinds);
    return served;
  };
  return apiHandler({
    kinds,
    access,
    resources: resourceRoutes({ resources, clock }),
    nonResources: nonResourceRoutes({
      kinds,
      openApi: openApiDocuments({
        kinds,
        documentOf: gv => openApiV3(options.kinds, gv, { version: version.gitVersion, patchTypes: patchTypesOf }),
      }),
      version,
      health: options.health,
      metrics,
      documents: options.documents,
      operations: options.operations,
    }),
    nodeProxy: nodeProxy({ kinds, resources, clientCertificate: options.agentCertificate }),
    clock,
    log,
    metrics,
    ...(options.requestTimeoutMs === undefined ? {} : { requestTimeoutMs: options.requestTimeoutMs }),
    ...(options.audit === undefined ? {} : { audit: options.audit }),
    auditor: options.auditor,
    flowControl: options.flowControl,
  });
}
