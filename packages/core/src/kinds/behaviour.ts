/**
 * What a built-in kind does beyond its shape: defaults, rules, columns. One row a type, in the order of the kinds; a row names
 * functions of the rooms defaults/, rules/ and columns/ and holds no logic of its own.
 */
import type { FieldError } from '../errors/status-error.js';
import { dns1035LabelProblem, dnsLabelProblem } from '../meta/names.js';
import type { KubeObject } from '../meta/object.js';
import {
  configMapColumns,
  eventColumns,
  leaseColumns,
  namespaceColumns,
  nodeColumns,
  secretColumns,
  serviceAccountColumns,
} from './columns/cluster.js';
import { endpointSliceColumns, endpointsColumns, serviceColumns } from './columns/network.js';
import { podColumns, podRowConditions } from './columns/pod.js';
import { autoscalerColumns, deploymentColumns, replicaSetColumns, scaleColumns } from './columns/workload.js';
import { defaultNamespace, defaultNode, defaultSecret } from './defaults/cluster.js';
import { defaultPod } from './defaults/pod.js';
import { defaultEndpointSlice, defaultEndpoints, defaultService } from './defaults/service.js';
import { defaultAutoscaler, defaultDeployment, defaultReplicaSet } from './defaults/workload.js';
import type { Column, RowCondition } from './kind.js';
import { checkAutoscaler } from './rules/autoscaler.js';
import { checkClosedEnums } from './rules/closed-enums.js';
import { checkBinding, checkEvent, checkLease, checkNamespace, checkNode } from './rules/cluster.js';
import { checkConfigMap, checkSecret } from './rules/config-data.js';
import { checkEndpointSlice, checkEndpoints } from './rules/endpoints.js';
import { checkMetadata, type NameRule } from './rules/metadata.js';
import { checkPod } from './rules/pod.js';
import { Report } from './rules/report.js';
import { checkService } from './rules/service.js';
import { checkDeployment, checkReplicaSet } from './rules/workload.js';
import type { StructSchema } from './schema.js';

interface Behaviour<T extends KubeObject = any> {
  /** Default: RFC 1123 subdomain. */
  readonly nameProblem?: NameRule['nameProblem'];
  readonly applyDefaults?: (object: T) => void;
  readonly check?: (report: Report, object: T, previous?: T) => void;
  readonly columns?: readonly Column<T>[];
  readonly rowConditions?: (object: T) => RowCondition[] | undefined;
}

const rows: Readonly<Record<string, Behaviour>> = {
  'core/v1.Namespace': {
    nameProblem: dnsLabelProblem,
    applyDefaults: defaultNamespace,
    check: checkNamespace,
    columns: namespaceColumns,
  },
  'core/v1.Pod': { applyDefaults: defaultPod, check: checkPod, columns: podColumns, rowConditions: podRowConditions },
  'core/v1.Node': { applyDefaults: defaultNode, check: checkNode, columns: nodeColumns },
  'core/v1.Service': {
    nameProblem: dns1035LabelProblem,
    applyDefaults: defaultService,
    check: checkService,
    columns: serviceColumns,
  },
  'core/v1.Endpoints': { applyDefaults: defaultEndpoints, check: checkEndpoints, columns: endpointsColumns },
  'core/v1.ConfigMap': { check: checkConfigMap, columns: configMapColumns },
  'core/v1.Secret': { applyDefaults: defaultSecret, check: checkSecret, columns: secretColumns },
  'core/v1.Event': { check: checkEvent, columns: eventColumns },
  'core/v1.ServiceAccount': { columns: serviceAccountColumns },
  'core/v1.Binding': { check: checkBinding },
  'apps/v1.ReplicaSet': { applyDefaults: defaultReplicaSet, check: checkReplicaSet, columns: replicaSetColumns },
  'apps/v1.Deployment': { applyDefaults: defaultDeployment, check: checkDeployment, columns: deploymentColumns },
  'coordination.k8s.io/v1.Lease': { check: checkLease, columns: leaseColumns },
  'discovery.k8s.io/v1.EndpointSlice': {
    applyDefaults: defaultEndpointSlice,
    check: checkEndpointSlice,
    columns: endpointSliceColumns,
  },
  'autoscaling/v2.HorizontalPodAutoscaler': {
    applyDefaults: defaultAutoscaler,
    check: checkAutoscaler,
    columns: autoscalerColumns,
  },
  'core/v1.ComponentStatus': {},
  'core/v1.LimitRange': {},
  'core/v1.PersistentVolumeClaim': {},
  'core/v1.PersistentVolume': {},
  'core/v1.PodTemplate': {},
  'core/v1.ReplicationController': {},
  'core/v1.ResourceQuota': {},
  'apps/v1.ControllerRevision': {},
  'apps/v1.DaemonSet': {},
  'apps/v1.StatefulSet': {},
  'events.k8s.io/v1.Event': {},
  'authentication.k8s.io/v1.SelfSubjectReview': {},
  'authentication.k8s.io/v1.TokenReview': {},
  'authorization.k8s.io/v1.LocalSubjectAccessReview': {},
  'authorization.k8s.io/v1.SelfSubjectAccessReview': {},
  'authorization.k8s.io/v1.SelfSubjectRulesReview': {},
  'authorization.k8s.io/v1.SubjectAccessReview': {},
  'autoscaling/v1.HorizontalPodAutoscaler': {},
  'batch/v1.CronJob': {},
  'batch/v1.Job': {},
  'certificates.k8s.io/v1.CertificateSigningRequest': {},
  'networking.k8s.io/v1.IngressClass': {},
  'networking.k8s.io/v1.Ingress': {},
  'networking.k8s.io/v1.IPAddress': {},
  'networking.k8s.io/v1.NetworkPolicy': {},
  'networking.k8s.io/v1.ServiceCIDR': {},
  'policy/v1.PodDisruptionBudget': {},
  'rbac.authorization.k8s.io/v1.ClusterRoleBinding': {},
  'rbac.authorization.k8s.io/v1.ClusterRole': {},
  'rbac.authorization.k8s.io/v1.RoleBinding': {},
  'rbac.authorization.k8s.io/v1.Role': {},
  'storage.k8s.io/v1.CSIDriver': {},
  'storage.k8s.io/v1.CSINode': {},
  'storage.k8s.io/v1.CSIStorageCapacity': {},
  'storage.k8s.io/v1.StorageClass': {},
  'storage.k8s.io/v1.VolumeAttachment': {},
  'admissionregistration.k8s.io/v1.MutatingWebhookConfiguration': {},
  'admissionregistration.k8s.io/v1.ValidatingAdmissionPolicy': {},
  'admissionregistration.k8s.io/v1.ValidatingAdmissionPolicyBinding': {},
  'admissionregistration.k8s.io/v1.ValidatingWebhookConfiguration': {},
  'apiextensions.k8s.io/v1.CustomResourceDefinition': {},
  'scheduling.k8s.io/v1.PriorityClass': {},
  'node.k8s.io/v1.RuntimeClass': {},
  'flowcontrol.apiserver.k8s.io/v1.FlowSchema': {},
  'flowcontrol.apiserver.k8s.io/v1.PriorityLevelConfiguration': {},
  'metrics.k8s.io/v1beta1.NodeMetrics': {},
  'metrics.k8s.io/v1beta1.PodMetrics': {},
  'autoscaling/v1.Scale': {
    check: (report, { spec }) => report.notNegative('spec.replicas', spec?.replicas),
    columns: scaleColumns,
  },
  'policy/v1.Eviction': {},
  'authentication.k8s.io/v1.TokenRequest': {
    check: (report, { spec }) => {
      const seconds = spec?.expirationSeconds;
      if (seconds !== undefined && seconds < 600) {
        report.invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes');
      }
    },
  },
};

/** @throws Error when the type has no row: it is not served yet. */
export function behaviourOf(type: string): Behaviour {
  const row = rows[type];
  if (!row) throw new Error(`${type} has no behaviour: give it a row in kinds/behaviour.ts`);
  return row;
}

export function validateObject<T extends KubeObject>(
  behaviour: Behaviour<T>,
  schema: StructSchema,
  namespaced: boolean,
  object: T,
  previous?: T,
): FieldError[] {
  const report = new Report();
  const rule: NameRule = behaviour.nameProblem ? { namespaced, nameProblem: behaviour.nameProblem } : { namespaced };
  checkMetadata(report, object.metadata, rule, previous?.metadata);
  checkClosedEnums(report, schema, object);
  behaviour.check?.(report, object, previous);
  return report.errors;
}
