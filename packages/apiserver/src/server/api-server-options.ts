/** What a composer says about an API server; each default is the safe one. */
import type { Kind, KindRegistry } from '@orbitkit/core';
import type { AdmissionPlugin } from '../admission/contract.js';
import type { AuditPolicy, LogFileOptions } from '../audit/index.js';
import type { Authenticator, FrontProxyOptions, OidcIssuer } from '../authentication/index.js';
import type { Authorizer } from '../authorization/index.js';
import type { RequestRecord } from '../http/handler.js';
import type { HttpDoorOptions } from '../http/http-door.js';
import type { Authority } from '../pki/index.js';
import type { ResourcesOptions } from '../registry/index.js';
import type { StoreFactory } from '../storage/contract.js';
import type { EncryptionRules } from '../storage/encryption/index.js';
import type { ServiceAccountOptions } from './access-control.js';

/** The address on which HTTPS is served. */
export interface ListenOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 6443; 0 takes any free one. */
  port?: number;
}

/** Only the store has no default. */
export interface ApiServerOptions {
  /** Opens the store; the server closes it. */
  store: StoreFactory;
  /** What of it is encrypted at rest, and with which keys; read at every start. Default: nothing. */
  encryption?: EncryptionRules | (() => Promise<EncryptionRules>);
  /** Name of the component. Default `apiserver`. */
  name?: string;
  /** What is served. Default: the built-in kinds. */
  kinds?: readonly Kind<any>[] | KindRegistry;
  /** Where HTTPS is served; false serves only the components of this process. Default 127.0.0.1:6443. */
  listen?: ListenOptions | false;
  /**
   * The IPv4 address at which pods and other clients find this server, behind the service `default/kubernetes`. Default: the address that it
   * listens on; for all of them (`0.0.0.0`) the first that is not the loopback.
   */
  advertiseAddress?: string;
  /** Where the authority, certificates and the admin's token are kept, mode 0700. Default `./data`. Not used with `listen: false`, unless it is given. */
  dataDir?: string;
  /** How long what an agent measured is good for in `metrics.k8s.io`. Default 15 s. */
  metricsResolutionMs?: number;
  /**
   * An authority that exists already, in the place of the one under `dataDir`; further names that the serving certificate is good for; and how
   * long the server's own certificates live (default a year). They are renewed when two thirds of that are over.
   */
  tls?: { authority?: Authority; hosts?: readonly string[]; certificateLifetimeMs?: number };
  /** Plain HTTP without authentication, for tests: everyone is the administrator. Refused on other addresses than the loopback. */
  insecureHttp?: boolean;
  /** Asked before the admin's token, client certificates and service-account tokens. */
  authentication?: Authenticator;
  /**
   * A proxy in front that names its users in headers, known by a certificate of an authority of its own. Asked first. That authority must not be
   * the cluster's, unless `allowedNames` tells the proxies from everybody else.
   */
  frontProxy?: FrontProxyOptions;
  /** Requests without credentials act as `system:anonymous`. Default: false, they are refused. */
  anonymous?: boolean;
  /** Health and version need no credentials. Default: true; what watches over a server seldom has any. */
  publicHealth?: boolean;
  /** Tokens of service accounts. */
  serviceAccounts?: ServiceAccountOptions;
  /** Identity providers whose users are known here. */
  oidc?: readonly OidcIssuer[];
  /** In the place of the default: members of `system:masters`, then the node authorizer, then RBAC with upstream's roles. */
  authorization?: Authorizer;
  /** In order. Default: `defaultAdmission()`. */
  admission?: readonly AdmissionPlugin[];
  /**
   * Refuse a binding with Conflict when it would give the node more than its allocatable: for clusters with several schedulers, see
   * `nodeCapacity()`. Default: false, as in Kubernetes the node has the last word.
   */
  nodeCapacity?: boolean;
  /** Range of service addresses. Default 10.96.0.0/16. */
  serviceCIDR?: string;
  /** Further settings of the resource store: service address policy, event lifetime, windows. */
  resources?: Omit<ResourcesOptions, 'store' | 'clock' | 'log' | 'admission'>;
  /** A kubeconfig for the administrator, written (0600) each time the server starts to listen. */
  kubeconfig?: string;
  /** Longest time for an answer that is not a stream. Default 60 s. */
  requestTimeoutMs?: number;
  /** Fair queueing (API Priority and Fairness): how many requests are worked on at a time, and how long others wait. `false`: none. */
  flowControl?: false | { seats?: number; waitLimitMs?: number };
  /** Bounds of the listening socket: how many may be connected, and how long a client may neither send nor take. */
  connections?: Omit<HttpDoorOptions, 'handler' | 'identify' | 'log' | 'tls'>;
  /** Time that running answers get to finish when the server stops. Default 5 s. */
  stopGraceMs?: number;
  /** A log of who did what, by a policy in the form of Kubernetes. */
  auditLog?: AuditLogOptions;
  /** Told of every request when its answer begins. Must not throw. */
  audit?: (record: RequestRecord) => void;
}

/** What is told, and the files that it is told in. */
export interface AuditLogOptions extends LogFileOptions {
  /** What is told: a policy, or the file that holds one (YAML, `audit.k8s.io/v1`). */
  policy: AuditPolicy | string;
}
