/**
 * Who has the bootstrap roles. As upstream, and three more: the user `system:kube-controller-manager` has every controller's role, since
 * its caches are everybody's, and without accounts of their own all controllers of a manager share its identity (upstream's own rule for a
 * manager without `--use-service-account-credentials`); and
 * nodes may renew their own client certificate (kubeadm binds the same);
 * and the service proxy has what it needs beyond upstream's.
 */
import { controllerRules } from './controller-roles.js';
import { type BootstrapBinding, type BootstrapRole, group, serviceAccount, user } from './policy-form.js';

const clusterRole = (name: string) => ({ kind: 'ClusterRole', name }) as const;
const role = (name: string) => ({ kind: 'Role', name }) as const;
const authenticated = group('system:authenticated');
const controllerManager = user('system:kube-controller-manager');

const bound = (name: string, ...subjects: BootstrapBinding['subjects']): BootstrapBinding => ({
  name,
  role: clusterRole(name),
  subjects,
});

const controllerRoleName = (controller: string): string => `system:controller:${controller}`;

export const controllerRoles: readonly BootstrapRole[] = Object.entries(controllerRules).map(([controller, rules]) => ({
  name: controllerRoleName(controller),
  rules,
}));

export const bootstrapBindings: readonly BootstrapBinding[] = [
  bound('cluster-admin', group('system:masters')),
  bound('system:monitoring', group('system:monitoring')),
  bound('system:discovery', authenticated),
  bound('system:basic-user', authenticated),
  bound('system:public-info-viewer', authenticated, group('system:unauthenticated')),
  bound('system:node-proxier', user('system:kube-proxy')),
  bound('orbitkit:service-proxy', user('system:kube-proxy')),
  bound('system:kube-controller-manager', controllerManager),
  bound('system:kube-dns', serviceAccount('kube-system', 'kube-dns')),
  bound('system:kube-scheduler', user('system:kube-scheduler')),
  bound('system:volume-scheduler', user('system:kube-scheduler')),
  // The node authorizer decides for nodes: bound to the group, a node could read every secret.
  bound('system:node'),
  bound('system:service-account-issuer-discovery', group('system:serviceaccounts')),
  ...Object.keys(controllerRules).map(controller =>
    bound(controllerRoleName(controller), serviceAccount('kube-system', controller), controllerManager),
  ),
  {
    name: 'orbitkit:node-certificate-rotation',
    role: clusterRole('system:certificates.k8s.io:certificatesigningrequests:selfnodeclient'),
    subjects: [group('system:nodes')],
  },
  {
    name: 'system::extension-apiserver-authentication-reader',
    namespace: 'kube-system',
    role: role('extension-apiserver-authentication-reader'),
    subjects: [controllerManager, user('system:kube-scheduler')],
  },
  {
    name: 'system::leader-locking-kube-controller-manager',
    namespace: 'kube-system',
    role: role('system::leader-locking-kube-controller-manager'),
    subjects: [
      controllerManager,
      serviceAccount('kube-system', 'kube-controller-manager'),
      serviceAccount('kube-system', 'leader-election-controller'),
    ],
  },
  {
    name: 'system::leader-locking-kube-scheduler',
    namespace: 'kube-system',
    role: role('system::leader-locking-kube-scheduler'),
    subjects: [user('system:kube-scheduler'), serviceAccount('kube-system', 'kube-scheduler')],
  },
  ...[
    ['kube-public', 'bootstrap-signer'],
    ['kube-system', 'bootstrap-signer'],
    ['kube-system', 'cloud-provider'],
    ['kube-system', 'token-cleaner'],
  ].map(([namespace, controller]): BootstrapBinding => {
    const name = controllerRoleName(controller!);
    return { name, namespace: namespace!, role: role(name), subjects: [serviceAccount('kube-system', controller!)] };
  }),
];
