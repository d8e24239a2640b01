/** `system:controller:NAME`: what each controller needs. Facts of Kubernetes (v1.33, `bootstrappolicy/controller_policy.go`). */
import type { rbacv1 } from '@orbitkit/core';
import { allow, events, rbacGroup, read } from './policy-form.js';

const apps = 'apps';
const batch = 'batch';
const certificates = 'certificates.k8s.io';
const discovery = 'discovery.k8s.io';
const policy = 'policy';
const storage = 'storage.k8s.io';

const ownsPods = allow('create delete list patch watch', '', 'pods');

/** By the name of the controller, which is that of its service account in kube-system. */
export const controllerRules: Readonly<Record<string, readonly rbacv1.PolicyRule[]>> = {
  'attachdetach-controller': [
    allow('list watch', '', 'persistentvolumeclaims persistentvolumes'),
    allow(read, '', 'nodes'),
    allow('patch update', '', 'nodes/status'),
    allow('list watch', '', 'pods'),
    events,
    allow('create delete get list watch', storage, 'volumeattachments'),
    allow(read, storage, 'csidrivers'),
    allow(read, storage, 'csinodes'),
  ],
  // It gives roles to others, so it may hold every right; upstream says the same.
  'clusterrole-aggregation-controller': [allow('escalate get list patch update watch', rbacGroup, 'clusterroles')],
  'cronjob-controller': [
    allow('get list update watch', batch, 'cronjobs'),
    allow('create delete get list patch update watch', batch, 'jobs'),
    allow('update', batch, 'cronjobs/status'),
    allow('update', batch, 'cronjobs/finalizers'),
    allow('delete list watch', '', 'pods'),
    events,
  ],
  'daemon-set-controller': [
    allow(read, apps, 'daemonsets'),
    allow('update', apps, 'daemonsets/status'),
    allow('update', apps, 'daemonsets/finalizers'),
    allow('list watch', '', 'nodes'),
    ownsPods,
    allow('create', '', 'pods/binding'),
    allow('create delete get list patch update watch', apps, 'controllerrevisions'),
    events,
  ],
  'deployment-controller': [
    allow('get list update watch', apps, 'deployments'),
    allow('update', apps, 'deployments/status'),
    allow('update', apps, 'deployments/finalizers'),
    allow('create delete get list patch update watch', apps, 'replicasets'),
    allow('get list update watch', '', 'pods'),
    events,
  ],
  'disruption-controller': [
    allow(read, apps, 'deployments'),
    allow(read, apps, 'replicasets'),
    allow(read, '', 'replicationcontrollers'),
    allow(read, policy, 'poddisruptionbudgets'),
    allow(read, apps, 'statefulsets'),
    allow('update', policy, 'poddisruptionbudgets/status'),
    allow('patch update', '', 'pods/status'),
    allow('get', '*', '*/scale'),
    events,
  ],
  'endpoint-controller': [
    allow(read, '', 'pods services'),
    allow('create delete get list update watch', '', 'endpoints'),
    allow('create', '', 'endpoints/restricted'),
    events,
  ],
  'endpointslice-controller': [
    allow(read, '', 'nodes pods services'),
    allow('update', '', 'services/finalizers'),
    allow('create delete get list update watch', discovery, 'endpointslices'),
    events,
  ],
  'endpointslicemirroring-controller': [
    allow(read, '', 'endpoints services'),
    allow('update', '', 'services/finalizers'),
    allow('update', '', 'endpoints/finalizers'),
    allow('create delete get list update watch', discovery, 'endpointslices'),
    events,
  ],
  'ephemeral-volume-controller': [
    allow('update', '', 'pods/finalizers'),
    allow(read, '', 'pods'),
    allow('create get list watch', '', 'persistentvolumeclaims'),
    events,
  ],
  'expand-controller': [
    allow('get list patch update watch', '', 'persistentvolumes'),
    allow('patch update', '', 'persistentvolumeclaims/status'),
    allow(read, '', 'persistentvolumeclaims'),
    events,
    allow('get', '', 'services'),
  ],
  'generic-garbage-collector': [allow('delete get list patch update watch', '*', '*'), events],
  'horizontal-pod-autoscaler': [
    allow(read, 'autoscaling', 'horizontalpodautoscalers'),
    allow('update', 'autoscaling', 'horizontalpodautoscalers/status'),
    allow('get update', '*', '*/scale'),
    allow('list watch', '', 'pods'),
    allow('list watch', 'metrics.k8s.io', 'pods'),
    allow(read, 'custom.metrics.k8s.io', '*'),
    allow(read, 'external.metrics.k8s.io', '*'),
    events,
  ],
  'job-controller': [
    allow('get list patch update watch', batch, 'jobs'),
    allow('update', batch, 'jobs/finalizers jobs/status'),
    ownsPods,
    events,
  ],
  'namespace-controller': [
    allow('delete get list watch', '', 'namespaces'),
    allow('update', '', 'namespaces/finalize namespaces/status'),
    allow('delete deletecollection get list watch', '*', '*'),
  ],
  'node-controller': [
    allow('delete get list patch update watch', '', 'nodes'),
    allow('patch update', '', 'nodes/status'),
    allow('patch update', '', 'pods/status'),
    allow('delete get list watch', '', 'pods'),
    events,
  ],
  'persistent-volume-binder': [
    allow('create delete get list update watch', '', 'persistentvolumes'),
    allow('update', '', 'persistentvolumes/status'),
    allow('get list update watch', '', 'persistentvolumeclaims'),
    allow('update', '', 'persistentvolumeclaims/status'),
    allow('create delete get list watch', '', 'pods'),
    allow(read, storage, 'storageclasses'),
    allow('list watch', '', 'nodes'),
    events,
    allow('watch', '', 'events'),
    allow('get', '', 'services'),
  ],
  'pod-garbage-collector': [
    allow('delete list watch', '', 'pods'),
    allow(read, '', 'nodes'),
    allow('patch', '', 'pods/status'),
  ],
  'pv-protection-controller': [allow('get list update watch', '', 'persistentvolumes'), events],
  'pvc-protection-controller': [
    allow('get list update watch', '', 'persistentvolumeclaims'),
    allow(read, '', 'pods'),
    events,
  ],
  'replicaset-controller': [
    allow('get list update watch', apps, 'replicasets'),
    allow('update', apps, 'replicasets/status'),
    allow('update', apps, 'replicasets/finalizers'),
    ownsPods,
    events,
  ],
  'replication-controller': [
    allow('get list update watch', '', 'replicationcontrollers'),
    allow('update', '', 'replicationcontrollers/finalizers replicationcontrollers/status'),
    ownsPods,
    events,
  ],
  'resourcequota-controller': [allow('list watch', '*', '*'), allow('update', '', 'resourcequotas/status'), events],
  'root-ca-cert-publisher': [allow('create update', '', 'configmaps'), events],
  'route-controller': [allow('list watch', '', 'nodes'), allow('patch', '', 'nodes/status'), events],
  'service-account-controller': [allow('create', '', 'serviceaccounts'), events],
  'service-controller': [
    allow(read, '', 'services'),
    allow('patch update', '', 'services/status'),
    allow('list watch', '', 'nodes'),
    events,
  ],
  'statefulset-controller': [
    allow('list watch', '', 'pods'),
    allow(read, apps, 'statefulsets'),
    allow('update', apps, 'statefulsets/status'),
    allow('update', apps, 'statefulsets/finalizers'),
    allow('create delete get patch update', '', 'pods'),
    allow('create delete get list patch update watch', apps, 'controllerrevisions'),
    allow('create get list watch', '', 'persistentvolumeclaims'),
    events,
    allow('delete update', '', 'persistentvolumeclaims'),
    allow('update', '', 'pods/finalizers'),
  ],
  'ttl-after-finished-controller': [allow('delete get list watch', batch, 'jobs'), events],
  'ttl-controller': [allow('list patch update watch', '', 'nodes'), events],
  'certificate-controller': [
    allow('delete get list watch', certificates, 'certificatesigningrequests'),
    allow('update', certificates, 'certificatesigningrequests/approval certificatesigningrequests/status'),
    allow('approve', certificates, 'signers', 'kubernetes.io/kube-apiserver-client-kubelet'),
    allow(
      'sign',
      certificates,
      'signers',
      'kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown',
    ),
    allow('create', 'authorization.k8s.io', 'subjectaccessreviews'),
    events,
  ],
  'legacy-service-account-token-cleaner': [
    allow('get', '', 'configmaps', 'kube-apiserver-legacy-service-account-token-tracking'),
    allow('delete patch', '', 'secrets'),
  ],
  'selinux-warning-controller': [
    events,
    allow(read, '', 'persistentvolumes'),
    allow(read, '', 'persistentvolumeclaims'),
    allow(read, '', 'pods'),
    allow(read, storage, 'csidrivers'),
  ],
  'service-cidrs-controller': [
    allow('get list patch update watch', 'networking.k8s.io', 'servicecidrs'),
    allow('patch update', 'networking.k8s.io', 'servicecidrs/finalizers'),
    allow('patch update', 'networking.k8s.io', 'servicecidrs/status'),
    allow(read, 'networking.k8s.io', 'ipaddresses'),
    events,
  ],
  'validatingadmissionpolicy-status-controller': [
    allow(read, 'admissionregistration.k8s.io', 'validatingadmissionpolicies'),
    allow('get patch update', 'admissionregistration.k8s.io', 'validatingadmissionpolicies/status'),
    events,
  ],
};
