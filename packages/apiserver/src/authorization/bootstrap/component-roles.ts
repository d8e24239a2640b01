/** The roles of a cluster's own components. Facts of Kubernetes (v1.33, `bootstrappolicy`). */
import type { rbacv1 } from '@orbitkit/core';
import { allow, allowPaths, type BootstrapRole, events, read, readWrite } from './policy-form.js';

const authentication = 'authentication.k8s.io';
const authorization = 'authorization.k8s.io';
const certificates = 'certificates.k8s.io';
const coordination = 'coordination.k8s.io';
const storage = 'storage.k8s.io';

const delegated = [
  allow('create', authentication, 'tokenreviews'),
  allow('create', authorization, 'subjectaccessreviews'),
];

/** What every node may do; whose secrets, whose pods and which node is the node authorizer's and NodeRestriction's matter. */
export const nodeRules: readonly rbacv1.PolicyRule[] = [
  allow('create', authentication, 'tokenreviews'),
  allow('create', authorization, 'localsubjectaccessreviews subjectaccessreviews'),
  allow(read, '', 'services'),
  allow('create get list watch', '', 'nodes'),
  allow('patch update', '', 'nodes nodes/status'),
  allow('create patch update', '', 'events'),
  allow(read, '', 'pods'),
  allow('create delete', '', 'pods'),
  allow('patch update', '', 'pods/status'),
  allow('create', '', 'pods/eviction'),
  allow(read, '', 'configmaps secrets'),
  allow('get', '', 'persistentvolumeclaims persistentvolumes'),
  allow('get patch update', '', 'persistentvolumeclaims/status'),
  allow('get', '', 'endpoints'),
  allow('create get list watch', certificates, 'certificatesigningrequests'),
  allow('create delete get patch update', coordination, 'leases'),
  allow('get', storage, 'volumeattachments'),
  allow('create', '', 'serviceaccounts/token'),
  allow(read, storage, 'csidrivers'),
  allow('create delete get patch update', storage, 'csinodes'),
  allow(read, 'node.k8s.io', 'runtimeclasses'),
];

const approver = (name: string, signer: string): BootstrapRole => ({
  name: `system:certificates.k8s.io:${name}`,
  rules: [allow('approve', certificates, 'signers', signer)],
});

export const componentRoles: readonly BootstrapRole[] = [
  { name: 'system:node', rules: nodeRules },
  {
    name: 'system:node-problem-detector',
    rules: [allow('get', '', 'nodes'), allow('patch', '', 'nodes/status'), events],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      allow(read, '', 'nodes'),
      allow('proxy', '', 'nodes'),
      allow('*', '', 'nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats'),
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: [allow('create get list watch', certificates, 'certificatesigningrequests')],
  },
  { name: 'system:auth-delegator', rules: delegated },
  { name: 'system:heapster', rules: [allow(read, '', 'events namespaces nodes pods')] },
  {
    name: 'system:kube-aggregator',
    rules: [allow(read, '', 'endpoints services')],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      events,
      allow('create', coordination, 'leases'),
      allow('get update', coordination, 'leases', 'kube-controller-manager'),
      allow('create', '', 'secrets serviceaccounts'),
      allow('delete', '', 'secrets'),
      allow('get', '', 'configmaps namespaces secrets serviceaccounts'),
      allow('update', '', 'secrets serviceaccounts'),
      ...delegated,
      allow('list watch', '*', '*'),
      allow('create', '', 'serviceaccounts/token'),
    ],
  },
  {
    name: 'system:kube-dns',
    rules: [allow('list watch', '', 'endpoints services')],
  },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      allow(`create delete ${read}`, '', 'persistentvolumes'),
      allow(`${read} update`, '', 'persistentvolumeclaims'),
      allow(read, storage, 'storageclasses'),
      allow('watch', '', 'events'),
      events,
    ],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient',
    rules: [allow('create', certificates, 'certificatesigningrequests/nodeclient')],
  },
  {
    name: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient',
    rules: [allow('create', certificates, 'certificatesigningrequests/selfnodeclient')],
  },
  approver('legacy-unknown-approver', 'kubernetes.io/legacy-unknown'),
  approver('kubelet-serving-approver', 'kubernetes.io/kubelet-serving'),
  approver('kube-apiserver-client-approver', 'kubernetes.io/kube-apiserver-client'),
  approver('kube-apiserver-client-kubelet-approver', 'kubernetes.io/kube-apiserver-client-kubelet'),
  {
    name: 'system:volume-scheduler',
    rules: [
      allow(`${read} patch update`, '', 'persistentvolumes'),
      allow(read, storage, 'storageclasses'),
      allow(`${read} patch update`, '', 'persistentvolumeclaims'),
    ],
  },
  {
    name: 'system:kube-scheduler',
    rules: [
      events,
      allow('create', coordination, 'leases'),
      allow('get list update watch', coordination, 'leases', 'kube-scheduler'),
      allow(readWrite, coordination, 'leasecandidates'),
      allow(read, '', 'nodes'),
      allow('delete get list watch', '', 'pods'),
      allow('create', '', 'bindings pods/binding'),
      allow('patch update', '', 'pods/status'),
      allow(read, '', 'replicationcontrollers services'),
      allow(read, 'apps', 'replicasets statefulsets'),
      allow(read, 'policy', 'poddisruptionbudgets'),
      allow(read, '', 'persistentvolumeclaims persistentvolumes'),
      ...delegated,
      allow(read, storage, 'csidrivers csinodes csistoragecapacities volumeattachments'),
      allow(read, '', 'namespaces'),
    ],
  },
  {
    name: 'system:node-proxier',
    rules: [
      allow('list watch', '', 'endpoints services'),
      allow(read, '', 'nodes'),
      events,
      allow('list watch', 'networking.k8s.io', 'servicecidrs'),
      allow('list watch', 'discovery.k8s.io', 'endpointslices'),
    ],
  },
  // Beside upstream's: the service proxy knows its cluster by a namespace's uid, and says on a Service where it answers.
  {
    name: 'orbitkit:service-proxy',
    rules: [allow('get', '', 'namespaces', 'kube-system'), allow('patch update', '', 'services/status')],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      allowPaths(
        'get',
        '/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/',
      ),
    ],
  },
  {
    name: 'extension-apiserver-authentication-reader',
    namespace: 'kube-system',
    rules: [allow(read, '', 'configmaps', 'extension-apiserver-authentication')],
  },
  {
    name: 'system::leader-locking-kube-controller-manager',
    namespace: 'kube-system',
    rules: [
      allow('watch', '', 'configmaps'),
      allow('get update', '', 'configmaps', 'kube-controller-manager'),
      allow('create get list update watch', coordination, 'leases leasecandidates'),
    ],
  },
  {
    name: 'system::leader-locking-kube-scheduler',
    namespace: 'kube-system',
    rules: [
      allow('watch', '', 'configmaps'),
      allow('get update', '', 'configmaps', 'kube-scheduler'),
      allow('create get list update watch', coordination, 'leases leasecandidates'),
    ],
  },
  {
    name: 'system:controller:bootstrap-signer',
    namespace: 'kube-public',
    rules: [allow(read, '', 'configmaps'), allow('update', '', 'configmaps', 'cluster-info'), events],
  },
  { name: 'system:controller:bootstrap-signer', namespace: 'kube-system', rules: [allow(read, '', 'secrets')] },
  {
    name: 'system:controller:cloud-provider',
    namespace: 'kube-system',
    rules: [allow('create get list watch', '', 'configmaps')],
  },
  {
    name: 'system:controller:token-cleaner',
    namespace: 'kube-system',
    rules: [allow('delete get list watch', '', 'secrets'), events],
  },
];
