/**
 * What kube-controller-manager runs, as far as it is built in here: one list for distributions. Add to it, filter it by name, or write your own.
 * Names are kube-controller-manager's.
 */
import type { Controller } from '../controller.js';
import { type CsrApprovingOptions, csrApproving } from './certificates/csr-approving.js';
import { type CsrSigningOptions, csrSigning } from './certificates/csr-signing.js';
import { clusterRoleAggregation } from './cluster-role-aggregation/cluster-role-aggregation.js';
import { cronJobs } from './cron-job/cron-jobs.js';
import { daemonSets } from './daemon-set/daemon-sets.js';
import { deployments } from './deployment/deployments.js';
import { podDisruptionBudgets } from './disruption/pod-disruption-budgets.js';
import { endpointSliceMirroring } from './endpoints/endpoint-slice-mirroring.js';
import { endpointSlices } from './endpoints/endpoint-slices.js';
import { endpoints } from './endpoints/endpoints.js';
import { garbageCollector } from './garbage-collector/garbage-collector.js';
import {
  type HorizontalPodAutoscalersOptions,
  horizontalPodAutoscalers,
} from './horizontal-pod-autoscaler/horizontal-pod-autoscalers.js';
import { jobs } from './job/jobs.js';
import { namespaces } from './namespace/namespaces.js';
import { nodeIpam } from './node-ipam/node-ipam.js';
import { type NodeLifecycleOptions, nodeLifecycle } from './node-lifecycle/node-lifecycle.js';
import { persistentVolumeBinder } from './persistent-volume/binder.js';
import { ephemeralVolumes } from './persistent-volume/ephemeral-volumes.js';
import { persistentVolumeExpander } from './persistent-volume/expander.js';
import { localPathProvisioner } from './persistent-volume/local-path.js';
import { persistentVolumeClaimProtection, persistentVolumeProtection } from './persistent-volume/protection.js';
import type { Provisioner } from './persistent-volume/provisioner.js';
import { volumeProvisioner } from './persistent-volume/volume-provisioner.js';
import { podGarbageCollector } from './pod-garbage-collector/pod-garbage-collector.js';
import { replicaSets, replicationControllers } from './replica-set/replica-sets.js';
import { resourceQuotas } from './resource-quota/resource-quotas.js';
import { type RootCAPublisherOptions, rootCAPublisher } from './root-ca/root-ca-publisher.js';
import { serviceAccountTokens } from './service-account/service-account-tokens.js';
import { serviceAccounts } from './service-account/service-accounts.js';
import { statefulSets } from './stateful-set/stateful-sets.js';
import { ttlAfterFinished } from './ttl-after-finished/ttl-after-finished.js';

/** What of a cluster the controllers have to be told. */
export interface StandardControllersOptions {
  /** Pod addresses of the cluster, of which each node gets a block. Default: nodes get none. */
  clusterCIDR?: string;
  nodeLifecycle?: NodeLifecycleOptions;
  /** E.g. where measures come from, when not from the metrics APIs. */
  horizontalPodAutoscalers?: HorizontalPodAutoscalersOptions;
  /** Published in every namespace (`kube-root-ca.crt`); pods get their tokens only then. Default: it is not. */
  certificateAuthority?: RootCAPublisherOptions['certificateAuthority'];
  /** Reads and signs certificate requests under the cluster's authority. Default: requests wait for another signer. */
  certificates?: CsrApprovingOptions & CsrSigningOptions;
  /** Who makes, deletes and enlarges volumes. Default: directories of nodes, for classes of `localPathClass()`. Empty: others do. */
  provisioners?: readonly Provisioner[];
}

/**
 * The account in kube-system of each, where its name is not the controller's (facts of kube-controller-manager 1.33). The one that writes
 * tokens of service accounts has none there either, and provisioners of volumes bring theirs along: these act as the manager.
 */
const serviceAccountOf: Readonly<Record<string, string | undefined>> = {
  'replicationcontroller-controller': 'replication-controller',
  'daemonset-controller': 'daemon-set-controller',
  'horizontal-pod-autoscaler-controller': 'horizontal-pod-autoscaler',
  'endpoint-slice-controller': 'endpointslice-controller',
  'endpoint-slice-mirroring-controller': 'endpointslicemirroring-controller',
  'serviceaccount-token-controller': undefined,
  'root-ca-certificate-publisher-controller': 'root-ca-cert-publisher',
  'certificatesigningrequest-approving-controller': 'certificate-controller',
  'certificatesigningrequest-signing-controller': 'certificate-controller',
  'persistentvolume-binder-controller': 'persistent-volume-binder',
  'persistentvolume-expander-controller': 'expand-controller',
  'persistentvolumeclaim-protection-controller': 'pvc-protection-controller',
  'persistentvolume-protection-controller': 'pv-protection-controller',
  'volume-provisioner': undefined,
  'garbage-collector-controller': 'generic-garbage-collector',
  'cidr-allocator': 'node-controller',
  'node-lifecycle-controller': 'node-controller',
};

function withAccount(controller: Controller): Controller {
  const { name } = controller;
  const serviceAccount = Object.hasOwn(serviceAccountOf, name) ? serviceAccountOf[name] : name;
  return serviceAccount === undefined ? controller : { ...controller, serviceAccount };
}

/** Fresh controllers, for one manager. Those that cannot work without an option (certificates, addresses) are left out when it is not given. */
export function standardControllers(options: StandardControllersOptions = {}): Controller[] {
  const { provisioners = [localPathProvisioner()] } = options;
  const controllers = [
    replicaSets(),
    replicationControllers(),
    deployments(),
    daemonSets(),
    statefulSets(),
    jobs(),
    cronJobs(),
    ttlAfterFinished(),
    horizontalPodAutoscalers(options.horizontalPodAutoscalers),
    podDisruptionBudgets(),
    endpoints(),
    endpointSlices(),
    endpointSliceMirroring(),
    namespaces(),
    serviceAccounts(),
    serviceAccountTokens(
      options.certificateAuthority === undefined ? {} : { certificateAuthority: options.certificateAuthority },
    ),
    resourceQuotas(),
    clusterRoleAggregation(),
    ...(options.certificateAuthority === undefined
      ? []
      : [rootCAPublisher({ certificateAuthority: options.certificateAuthority })]),
    ...(options.certificates === undefined
      ? []
      : [csrApproving(options.certificates), csrSigning(options.certificates)]),
    persistentVolumeBinder(),
    persistentVolumeExpander(provisioners),
    persistentVolumeClaimProtection(),
    persistentVolumeProtection(),
    ephemeralVolumes(),
    ...(provisioners.length === 0 ? [] : [volumeProvisioner(provisioners)]),
    garbageCollector(),
    podGarbageCollector(),
    ...(options.clusterCIDR === undefined ? [] : [nodeIpam({ clusterCIDR: options.clusterCIDR })]),
    nodeLifecycle(options.nodeLifecycle),
  ];
  return controllers.map(withAccount);
}
