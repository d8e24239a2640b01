/**
 * The API server as a component: opens its store, keeps the watch cache filled, serves over HTTPS, and gives clients to the components
 * that start after it.
 *
 * - Ready when the watch cache is complete, the system's namespaces, roles and bindings exist and the socket listens.
 * - Secure by default: TLS under an authority of its own (kept in the data directory), the admin's bearer token, client certificates
 *   and service-account tokens as identities, RBAC with upstream's roles and the node authorizer over what they may do. Plain HTTP is for
 *   tests, on the loopback only.
 * - Stops cleanly: answers are finished, streams end, then sockets and store are closed. It can be run again; with port 0 it comes back on the
 *   port that it had.
 */
import { setMaxListeners } from 'node:events';
import path from 'node:path';
import {
  builtinKinds,
  type Client,
  type Component,
  type ComponentContext,
  createClient,
  type KindRegistry,
  kindRegistry,
  PriorityClass,
  type UserInfo,
  unrecoverable,
} from '@orbitkit/core';
import { defaultAdmission, nodeCapacity, ownerReferencesPermissionEnforcement } from '../admission/index.js';
import { systemPriorityClasses } from '../admission/priority.js';
import { auditor, openLogFile, readAuditPolicy } from '../audit/index.js';
import { adminUser, identifyWith, writeKubeconfig } from '../authentication/index.js';
import { followDefinitions, serveDefinitions } from '../crd/custom-resources.js';
import { webhookConversion } from '../crd/webhook-conversion.js';
import { ensureFlowConfiguration, flowControl, keepFlowConfiguration, objectCount } from '../fairness/index.js';
import { accessCheck } from '../http/access.js';
import { httpDoor } from '../http/http-door.js';
import { type InProcessOptions, inProcessTransport } from '../http/in-process.js';
import { metricsResources } from '../metrics-api/metrics-resources.js';
import { keepTypesChecked, validatingPolicyStrategy } from '../policy/type-check.js';
import { createResources, type SystemObject } from '../registry/index.js';
import type { Store } from '../storage/contract.js';
import { webhookCaller } from '../webhook/call.js';
import { accessControl } from './access-control.js';
import type { ApiServerOptions, ListenOptions } from './api-server-options.js';
import { authenticators } from './authenticators.js';
import { credentialsUnder, hostsOf, type ServerCredentials } from './credentials.js';
import { publishExtensionAuthentication } from './extension-authentication.js';
import { healthEndpoints } from './health-endpoints.js';
import {
  advertisedAddress,
  apiServiceAddress,
  type KubernetesService,
  kubernetesService,
} from './kubernetes-service.js';
import { openStore } from './open-store.js';
import { keepRenewed } from './renewal.js';
import { requestHandler } from './request-handler.js';
import { shareTrust } from './shared-trust.js';
import { storageOperations } from './storage-operations.js';

export type { ApiServerOptions, AuditLogOptions, ListenOptions } from './api-server-options.js';

/** Where a running server is reached. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** `https://127.0.0.1:6443`; an address that means all of the machine's is replaced by the loopback. */
  readonly url: string;
}

/** A component that also is a handle on the server: its address, and clients over the in-process transport. */
export interface ApiServer extends Component {
  readonly kinds: KindRegistry;
  /** Undefined while it does not listen. */
  readonly endpoint: Endpoint | undefined;
  /** PEM of the authority under which the server, and the clients that it knows by certificate, are. Made when it does not exist. */
  certificateAuthority(): Promise<string>;
  /** The admin's bearer token. Made when it does not exist. */
  adminToken(): Promise<string>;
  /** A client for this identity, over the in-process transport. @throws Error while the server is not running. */
  clientFor(user: UserInfo): Client;
  /** A kubeconfig of mode 0600 for the administrator. @throws Error while the server does not listen. */
  writeKubeconfig(file: string): Promise<void>;
}

const dayMs = 24 * 60 * 60_000;

/**
 * An API server; nothing is opened before it runs.
 * @throws Error that names the option when one cannot be right: plain HTTP off the loopback, an address or range that is none.
 */
export function apiServer(options: ApiServerOptions): ApiServer {
  const { name = 'apiserver' } = options;
  const kinds = isRegistry(options.kinds) ? options.kinds : kindRegistry(options.kinds ?? builtinKinds);
  serveDefinitions(kinds);
  const callWebhook = webhookCaller();
  const listen = options.listen ?? {};
  const dataDir = options.dataDir ?? './data';
  const serviceRange = options.serviceCIDR ?? options.resources?.services?.clusterIpRange;
  if (options.insecureHttp && listen !== false && !isLoopback(listen.host ?? '127.0.0.1'))
    throw new Error(
      `apiServer: insecureHttp serves everyone as administrator; it is refused on ${listen.host}, which others can reach`,
    );

  if (options.advertiseAddress !== undefined) advertisedAddress('', options.advertiseAddress);
  if (serviceRange !== undefined) apiServiceAddress(serviceRange);

  let credentials: Promise<ServerCredentials> | undefined;
  let endpoint: Endpoint | undefined;
  /** The port of an earlier run, to come back on. */
  let lastPort: number | undefined;
  let running: InProcessOptions | undefined;

  /** Servers over one store have one authority and one administrator. */
  const agreeOnTrust = (store: Store): Promise<void> =>
    shareTrust({ store, dir: path.join(dataDir, 'pki'), ownAuthority: options.tls?.authority !== undefined });

  /** Read once, and again after a failure. */
  function keptCredentials(): Promise<ServerCredentials> {
    credentials ??= credentialsUnder(path.join(dataDir, 'pki'), {
      ...(options.tls?.authority ? { authority: options.tls.authority } : {}),
      ...(options.tls?.certificateLifetimeMs ? { lifetimeMs: options.tls.certificateLifetimeMs } : {}),
      hosts: [
        ...(options.tls?.hosts ?? []),
        ...(options.advertiseAddress === undefined ? [] : [options.advertiseAddress]),
        ...(listen === false ? [] : [...hostsOf(listen.host), apiServiceAddress(serviceRange)]),
      ],
    }).catch(error => {
      credentials = undefined;
      throw error;
    });
    return credentials;
  }

  function clientFor(user: UserInfo): Client {
    if (!running) throw new Error(`${name} is not running: it has no clients to give`);
    return createClient(inProcessTransport(running, user));
  }

  const api: ApiServer = {
    name,
    kinds,
    get endpoint() {
      return endpoint;
    },
    certificateAuthority: async () => (await keptCredentials()).authority.certificate,
    adminToken: async () => (await keptCredentials()).adminToken,
    clientFor,
    async writeKubeconfig(file) {
      if (!endpoint) throw new Error(`${name} does not listen: there is no address to write into ${file}`);
      const { authority, adminToken } = await keptCredentials();
      await writeKubeconfig(file, {
        server: endpoint.url,
        certificateAuthority: authority.certificate,
        token: adminToken,
      });
    },
    async run(context) {
      const store = await openStore(options);
      try {
        await serve(store, context);
      } finally {
        running = undefined;
        endpoint = undefined;
        await store.close();
      }
    },
  };

  async function serve(store: Store, context: ComponentContext): Promise<void> {
    const { clock, log, metrics } = context;
    /** Ends everything that this run started: on the composition's signal, or when a part fails. */
    const stop = new AbortController();
    // Each in-process client listens to it.
    setMaxListeners(0, stop.signal);
    const onStop = () => stop.abort(context.signal.reason);
    if (context.signal.aborted) onStop();
    context.signal.addEventListener('abort', onStop, { once: true });

    const secure = listen !== false && !options.insecureHttp;
    const withCredentials = secure || options.tls?.authority !== undefined || options.dataDir !== undefined;
    if (withCredentials) {
      await agreeOnTrust(store);
      // What was read before the store was known may have been replaced.
      if (store.shared) credentials = undefined;
    }
    const kept = withCredentials ? await keptCredentials() : undefined;
    const { auditLog } = options;
    const policy =
      typeof auditLog?.policy === 'string'
        ? await readAuditPolicy(auditLog.policy).catch(error => {
            throw unrecoverable(error);
          })
        : auditLog?.policy;
    const control = fromOptions(() =>
      accessControl({
        kinds,
        clock,
        store,
        serviceAccounts: options.serviceAccounts,
        oidc: options.oidc,
        authorization: options.authorization,
        url: () => endpoint?.url,
      }),
    );
    const authentication = authenticators(options, kept, control);
    const resources = createResources({
      ...options.resources,
      services: {
        ...options.resources?.services,
        ...(options.serviceCIDR ? { clusterIpRange: options.serviceCIDR } : {}),
      },
      store,
      clock,
      log,
      // Who may is asked before quotas are charged.
      admission: [
        ...control.admission,
        ownerReferencesPermissionEnforcement(control.authorizer, kinds),
        ...(options.admission ?? defaultAdmission({ kinds, call: callWebhook, authorizer: control.authorizer })),
        ...(options.nodeCapacity ? [nodeCapacity()] : []),
      ],
      systemObjects: [...systemPriorities(kinds), ...(options.resources?.systemObjects ?? [])],
      virtual: {
        ...control.virtual(() => authentication),
        ...metricsResources({
          kinds,
          resources: () => resources,
          clock,
          log,
          clientCertificate: kept?.agentClient,
          resolutionMs: options.metricsResolutionMs,
        }),
        ...options.resources?.virtual,
      },
      strategies: {
        ...control.strategies,
        'admissionregistration.k8s.io/validatingadmissionpolicies': validatingPolicyStrategy(kinds),
        ...options.resources?.strategies,
      },
    });
    control.follow(resources.cache, resources);
    const { cache } = resources;
    const definitions = followDefinitions(
      {
        cache,
        resources,
        kinds,
        clock,
        log,
        conversionOf: definition => webhookConversion(definition, callWebhook, resources.cluster),
      },
      stop.signal,
    );
    const trail = auditLog && (await openLogFile(auditLog, clock, log));
    let bootstrapped = false;
    /** Outlives the doors: answers that are being finished still read and write. */
    const feeding = new AbortController();
    const feed = resources.run({ signal: feeding.signal });

    const flow =
      options.flowControl === false
        ? undefined
        : flowControl({ ...options.flowControl, clock, metrics, objectsOf: objectCount(cache) });
    flow?.follow(cache);
    const handler = requestHandler({
      kinds,
      flowControl: flow,
      operations: { ...storageOperations(store), ...control.operations },
      resources,
      access: accessCheck(control.authorizer, { publicHealth: options.publicHealth ?? true }),
      documents: control.documents,
      health: healthEndpoints(() => resources.ready() && bootstrapped, stop.signal),
      clock,
      log,
      metrics,
      agentCertificate: kept?.agentClient,
      requestTimeoutMs: options.requestTimeoutMs,
      audit: options.audit,
      auditor: policy && trail && auditor(policy, trail.append, clock),
    });
    running = { handler, signal: stop.signal, clock };
    let service: KubernetesService | undefined;

    const serving = async (credentials: ServerCredentials) => {
      const made = await credentials.serving();
      if (options.frontProxy === undefined) return made;
      return { ...made, clientAuthority: `${made.clientAuthority}\n${options.frontProxy.clientAuthority}` };
    };
    let identity = kept && secure ? await serving(kept) : undefined;
    const publishTrust = async (): Promise<void> => {
      if (!kept || !secure) return;
      const clientAuthority = kept.authority.certificate;
      const { signal } = stop;
      await publishExtensionAuthentication({
        resources,
        kinds,
        signal,
        clientAuthority,
        frontProxy: options.frontProxy,
      });
    };
    const door =
      listen === false
        ? undefined
        : httpDoor({
            ...options.connections,
            handler,
            identify: options.insecureHttp
              ? async () => adminUser
              : identifyWith(authentication, { anonymous: options.anonymous ?? false }),
            log,
            tls: identity,
          });
    /** Without dropping a connection. */
    async function renewServing(): Promise<void> {
      if (!door || !kept || !identity) return;
      await agreeOnTrust(store);
      identity = await serving(kept);
      door.renew(identity);
      await publishTrust();
    }
    try {
      await Promise.race([
        (async () => {
          while (!resources.ready() && !stop.signal.aborted) await clock.sleep(5, stop.signal).catch(() => undefined);
          if (stop.signal.aborted) return;
          await control.bootstrap(resources, stop.signal);
          if (flow) await ensureFlowConfiguration({ resources, kinds, clock, log, signal: stop.signal });
          await publishTrust();
          bootstrapped = true;
          if (door && listen !== false) {
            endpoint = await bind(door, listen, options.insecureHttp === true);
            lastPort = endpoint.port;
            log.info('the API is served', { url: endpoint.url });
            if (options.kubeconfig !== undefined) await api.writeKubeconfig(options.kubeconfig);
          }
          const ip = endpoint && advertisedAddress(endpoint.host, options.advertiseAddress);
          if (endpoint && secure && ip !== undefined) {
            const address = { ip, port: endpoint.port };
            service = kubernetesService({ resources, kinds, store, clock, log, address, serviceRange });
            await service.publish(stop.signal);
            void service.follow(stop.signal);
          }
          context.provideClient(clientFor);
          context.ready();
          void keepTypesChecked({ resources, kinds, clock, log, signal: stop.signal });
          if (flow) void keepFlowConfiguration({ resources, kinds, clock, log, signal: stop.signal });
          const dueInMs = () => (kept && identity ? identity.renewAt - kept.authority.clock.now() : dayMs);
          await keepRenewed({ dueInMs, renew: renewServing, clock, log, signal: stop.signal });
        })(),
        feed.then(() => {
          if (!stop.signal.aborted) throw new Error('the watch cache ended by itself');
        }),
      ]);
    } finally {
      context.signal.removeEventListener('abort', onStop);
      if (!stop.signal.aborted) stop.abort(new Error('the API server has failed'));
      // First of all, so that new clients go elsewhere.
      await service?.withdraw();
      await door?.close(options.stopGraceMs ?? 5_000);
      feeding.abort(new Error('the API server has stopped'));
      await feed.catch(() => undefined);
      await trail?.close();
      await definitions;
    }
  }

  async function bind(
    door: ReturnType<typeof httpDoor>,
    { host = '127.0.0.1', port = 6443 }: ListenOptions,
    plain: boolean,
  ): Promise<Endpoint> {
    const wanted = port === 0 ? (lastPort ?? 0) : port;
    try {
      const address = await door.listen(host, wanted);
      const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
      return {
        host,
        port: address.port,
        url: `${plain ? 'http' : 'https'}://${shown.includes(':') ? `[${shown}]` : shown}:${address.port}`,
      };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const why = code === 'EADDRINUSE' ? 'the port is in use; stop what uses it or choose another' : message;
      throw unrecoverable(new Error(`${name} cannot listen on ${host}:${wanted}: ${why}`, { cause: error }));
    }
  }

  return api;
}

/** The priority classes that every cluster has, where they are served. */
function systemPriorities(kinds: KindRegistry): SystemObject[] {
  const kind = kinds.get(PriorityClass);
  return kind
    ? systemPriorityClasses.map(object => ({
        kind,
        object: structuredClone(object) as unknown as SystemObject['object'],
      }))
    : [];
}

/** What options alone decide does not mend by trying again. */
function fromOptions<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof Error ? unrecoverable(error) : error;
  }
}

const isRegistry = (kinds: ApiServerOptions['kinds']): kinds is KindRegistry =>
  kinds !== undefined && typeof (kinds as KindRegistry).byResource === 'function';

const isLoopback = (host: string) => host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host);
