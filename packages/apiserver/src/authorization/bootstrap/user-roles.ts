/**
 * The roles for people: cluster-admin, the aggregated admin, edit and view, and what everyone may ask of a server. Names and rules are
 * facts of Kubernetes (v1.33, `bootstrappolicy`), where clients and charts rely on them.
 */
import { allow, allowPaths, type BootstrapRole, rbacGroup, read, readWrite, write } from './policy-form.js';

const aggregateTo = (role: string): string => `${rbacGroup}/aggregate-to-${role}`;
const joins = (role: string): Record<string, string> => ({ [aggregateTo(role)]: 'true' });

const scalable = (name: string): string => `${name} ${name}/scale`;
const watched = (name: string): string => `${name} ${name}/scale ${name}/status`;
const healthPaths = '/healthz /livez /readyz';

export const userRoles: readonly BootstrapRole[] = [
  { name: 'cluster-admin', rules: [allow('*', '*', '*'), allowPaths('*', '*')] },
  {
    name: 'system:discovery',
    rules: [allowPaths('get', `/api /api/* /apis /apis/* ${healthPaths} /openapi /openapi/* /version /version/`)],
  },
  { name: 'system:public-info-viewer', rules: [allowPaths('get', `${healthPaths} /version /version/`)] },
  {
    name: 'system:monitoring',
    rules: [allowPaths('get', `/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*`)],
  },
  {
    name: 'system:basic-user',
    rules: [
      allow('create', 'authorization.k8s.io', 'selfsubjectaccessreviews selfsubjectrulesreviews'),
      allow('create', 'authentication.k8s.io', 'selfsubjectreviews'),
    ],
  },
  { name: 'admin', rules: [], aggregates: aggregateTo('admin') },
  { name: 'edit', rules: [], labels: joins('admin'), aggregates: aggregateTo('edit') },
  { name: 'view', rules: [], labels: joins('edit'), aggregates: aggregateTo('view') },
  {
    name: 'system:aggregate-to-admin',
    labels: joins('admin'),
    rules: [
      allow('create', 'authorization.k8s.io', 'localsubjectaccessreviews'),
      allow(readWrite, rbacGroup, 'rolebindings roles'),
    ],
  },
  {
    name: 'system:aggregate-to-edit',
    labels: joins('edit'),
    rules: [
      allow(read, '', 'pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy'),
      allow('impersonate', '', 'serviceaccounts'),
      allow(write, '', 'pods pods/attach pods/exec pods/portforward pods/proxy'),
      allow('create', '', 'pods/eviction'),
      allow(
        write,
        '',
        `configmaps events persistentvolumeclaims ${scalable('replicationcontrollers')} secrets serviceaccounts services services/proxy`,
      ),
      allow('create', '', 'serviceaccounts/token'),
      allow(
        write,
        'apps',
        `daemonsets deployments deployments/rollback deployments/scale ${scalable('replicasets')} ${scalable('statefulsets')}`,
      ),
      allow(write, 'autoscaling', 'horizontalpodautoscalers'),
      allow(write, 'batch', 'cronjobs jobs'),
      allow(write, 'policy', 'poddisruptionbudgets'),
      allow(write, 'networking.k8s.io', 'ingresses networkpolicies'),
      allow(readWrite, 'coordination.k8s.io', 'leases'),
    ],
  },
  {
    name: 'system:aggregate-to-view',
    labels: joins('view'),
    rules: [
      allow(
        read,
        '',
        `configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods ${scalable('replicationcontrollers')} serviceaccounts services services/status`,
      ),
      allow(
        read,
        '',
        'bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status',
      ),
      allow(read, '', 'namespaces'),
      allow(read, 'discovery.k8s.io', 'endpointslices'),
      allow(
        read,
        'apps',
        `controllerrevisions daemonsets daemonsets/status ${watched('deployments')} ${watched('replicasets')} ${watched('statefulsets')}`,
      ),
      allow(read, 'autoscaling', 'horizontalpodautoscalers horizontalpodautoscalers/status'),
      allow(read, 'batch', 'cronjobs cronjobs/status jobs jobs/status'),
      allow(read, 'policy', 'poddisruptionbudgets poddisruptionbudgets/status'),
      allow(read, 'networking.k8s.io', 'ingresses ingresses/status networkpolicies'),
    ],
  },
];
