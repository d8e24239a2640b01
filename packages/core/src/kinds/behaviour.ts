/**
 * What a built-in kind does beyond its shape: defaults, rules, columns. One row a type, in the order of the kinds; a row names
 * functions of the rooms defaults/, rules/ and columns/ and holds no logic of its own.
 */
import type { FieldError } from '../errors/status-error.js';
import { dns1035LabelProblem, dnsLabelProblem } from '../meta/names.js';
import type { KubeObject } from '../meta/object.js';
import { roleBindingColumns, signingRequestColumns } from './columns/access.js';
import { cronJobColumns, jobColumns } from './columns/batch.js';
import {
  configMapColumns,
  eventColumns,
  leaseColumns,
  namespaceColumns,
  nodeColumns,
  secretColumns,
  serviceAccountColumns,
} from './columns/cluster.js';
import { storedColumns } from './columns/column.js';
import { admissionPolicyBindingColumns, admissionPolicyColumns, webhookColumns } from './columns/extension.js';
import {
  endpointSliceColumns,
  endpointsColumns,
  ingressClassColumns,
  ingressColumns,
  ipAddressColumns,
  networkPolicyColumns,
  serviceCidrColumns,
  serviceColumns,
} from './columns/network.js';
import { podColumns, podRowConditions } from './columns/pod.js';
import {
  componentStatusColumns,
  disruptionBudgetColumns,
  flowSchemaColumns,
  priorityClassColumns,
  priorityLevelColumns,
  resourceQuotaColumns,
  runtimeClassColumns,
} from './columns/policy.js';
import {
  csiDriverColumns,
  csiNodeColumns,
  persistentVolumeClaimColumns,
  persistentVolumeColumns,
  storageClassColumns,
  volumeAttachmentColumns,
} from './columns/storage.js';
import {
  autoscalerColumns,
  controllerRevisionColumns,
  daemonSetColumns,
  deploymentColumns,
  podTemplateColumns,
  replicaSetColumns,
  replicationControllerColumns,
  scaleColumns,
  statefulSetColumns,
} from './columns/workload.js';
import { defaultCronJob, defaultJob } from './defaults/batch.js';
import { defaultNamespace, defaultNode, defaultSecret } from './defaults/cluster.js';
import {
  defaultAdmissionPolicy,
  defaultAdmissionPolicyBinding,
  defaultMutatingWebhooks,
  defaultValidatingWebhooks,
} from './defaults/extension.js';
import { defaultIngressClass, defaultNetworkPolicy } from './defaults/network.js';
import { defaultPod } from './defaults/pod.js';
import {
  defaultFlowSchema,
  defaultLimitRange,
  defaultPriorityClass,
  defaultPriorityLevel,
  defaultRoleBinding,
} from './defaults/policy.js';
import { defaultEndpointSlice, defaultEndpoints, defaultService } from './defaults/service.js';
import { defaultClaim, defaultCsiDriver, defaultStorageClass, defaultVolume } from './defaults/volume.js';
import {
  defaultAutoscaler,
  defaultAutoscalerV1,
  defaultDaemonSet,
  defaultDeployment,
  defaultReplicaSet,
  defaultReplicationController,
  defaultStatefulSet,
  defaultTemplateOfPods,
} from './defaults/workload.js';
import type { Column, RowCondition } from './kind.js';
import { checkAutoscaler } from './rules/autoscaler.js';
import { checkCronJob, checkJob } from './rules/batch.js';
import { checkPersistentVolume, checkPersistentVolumeClaim } from './rules/claim.js';
import { checkClosedEnums } from './rules/closed-enums.js';
import { checkBinding, checkEvent, checkLease, checkNamespace, checkNode } from './rules/cluster.js';
import { checkConfigMap, checkSecret } from './rules/config-data.js';
import {
  checkControllerRevision,
  checkDaemonSet,
  checkReplicationController,
  checkStatefulSet,
} from './rules/controller.js';
import { checkEndpointSlice, checkEndpoints } from './rules/endpoints.js';
import { checkEventV1 } from './rules/event-v1.js';
import { checkFlowSchema, checkPriorityLevel } from './rules/flow-control.js';
import { pathSegmentProblem } from './rules/forms.js';
import { checkIngress, checkIngressClass } from './rules/ingress.js';
import { checkMetadata, type NameRule } from './rules/metadata.js';
import { checkIpAddress, checkNetworkPolicy, checkServiceCidr } from './rules/network-policy.js';
import { checkPod, checkPodTemplate } from './rules/pod.js';
import { checkDisruptionBudget, checkPriorityClass, checkRuntimeClass } from './rules/policy.js';
import { checkLimitRange, checkResourceQuota } from './rules/quota.js';
import { checkClusterRole, checkClusterRoleBinding, checkRole, checkRoleBinding } from './rules/rbac.js';
import { Report } from './rules/report.js';
import { checkAccessReview, checkLocalAccessReview, checkSelfAccessReview, checkTokenReview } from './rules/review.js';
import { checkService } from './rules/service.js';
import {
  checkCsiDriver,
  checkCsiNode,
  checkCsiStorageCapacity,
  checkStorageClass,
  checkVolumeAttachment,
} from './rules/storage.js';
import { checkAdmissionPolicy, checkAdmissionPolicyBinding, checkWebhooks } from './rules/webhook.js';
import { checkDeployment, checkReplicaSet } from './rules/workload.js';
import type { StructSchema } from './schema.js';
import { autoscalerV1 } from './versions/autoscaler-v1.js';
import { eventsV1 } from './versions/events-v1.js';

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
  'core/v1.ComponentStatus': { columns: componentStatusColumns },
  'core/v1.LimitRange': { applyDefaults: defaultLimitRange, check: checkLimitRange },
  'core/v1.PersistentVolumeClaim': {
    applyDefaults: defaultClaim,
    check: checkPersistentVolumeClaim,
    columns: persistentVolumeClaimColumns,
  },
  'core/v1.PersistentVolume': {
    applyDefaults: defaultVolume,
    check: checkPersistentVolume,
    columns: persistentVolumeColumns,
  },
  'core/v1.PodTemplate': {
    applyDefaults: defaultTemplateOfPods,
    check: (report, { template }) => checkPodTemplate(report, template ?? {}, 'template'),
    columns: podTemplateColumns,
  },
  'core/v1.ReplicationController': {
    applyDefaults: defaultReplicationController,
    check: checkReplicationController,
    columns: replicationControllerColumns,
  },
  'core/v1.ResourceQuota': { check: checkResourceQuota, columns: resourceQuotaColumns },
  'apps/v1.ControllerRevision': { check: checkControllerRevision, columns: controllerRevisionColumns },
  'apps/v1.DaemonSet': { applyDefaults: defaultDaemonSet, check: checkDaemonSet, columns: daemonSetColumns },
  'apps/v1.StatefulSet': {
    nameProblem: dnsLabelProblem,
    applyDefaults: defaultStatefulSet,
    check: checkStatefulSet,
    columns: statefulSetColumns,
  },
  'events.k8s.io/v1.Event': { check: checkEventV1, columns: storedColumns(eventColumns, eventsV1.toStorage) },
  'authentication.k8s.io/v1.SelfSubjectReview': {},
  'authentication.k8s.io/v1beta1.SelfSubjectReview': {},
  'authentication.k8s.io/v1.TokenReview': { check: checkTokenReview },
  'authorization.k8s.io/v1.LocalSubjectAccessReview': { check: checkLocalAccessReview },
  'authorization.k8s.io/v1.SelfSubjectAccessReview': { check: checkSelfAccessReview },
  'authorization.k8s.io/v1.SelfSubjectRulesReview': {},
  'authorization.k8s.io/v1.SubjectAccessReview': { check: checkAccessReview },
  'autoscaling/v1.HorizontalPodAutoscaler': {
    applyDefaults: defaultAutoscalerV1,
    columns: storedColumns(autoscalerColumns, autoscalerV1.toStorage),
  },
  'batch/v1.CronJob': { applyDefaults: defaultCronJob, check: checkCronJob, columns: cronJobColumns },
  'batch/v1.Job': { applyDefaults: defaultJob, check: checkJob, columns: jobColumns },
  'certificates.k8s.io/v1.CertificateSigningRequest': { columns: signingRequestColumns },
  'networking.k8s.io/v1.IngressClass': {
    applyDefaults: defaultIngressClass,
    check: checkIngressClass,
    columns: ingressClassColumns,
  },
  'networking.k8s.io/v1.Ingress': { check: checkIngress, columns: ingressColumns },
  'networking.k8s.io/v1.IPAddress': { nameProblem: () => undefined, check: checkIpAddress, columns: ipAddressColumns },
  'networking.k8s.io/v1.NetworkPolicy': {
    applyDefaults: defaultNetworkPolicy,
    check: checkNetworkPolicy,
    columns: networkPolicyColumns,
  },
  'networking.k8s.io/v1.ServiceCIDR': { check: checkServiceCidr, columns: serviceCidrColumns },
  'policy/v1.PodDisruptionBudget': { check: checkDisruptionBudget, columns: disruptionBudgetColumns },
  'rbac.authorization.k8s.io/v1.ClusterRoleBinding': {
    nameProblem: pathSegmentProblem,
    applyDefaults: defaultRoleBinding,
    check: checkClusterRoleBinding,
    columns: roleBindingColumns,
  },
  'rbac.authorization.k8s.io/v1.ClusterRole': { nameProblem: pathSegmentProblem, check: checkClusterRole },
  'rbac.authorization.k8s.io/v1.RoleBinding': {
    nameProblem: pathSegmentProblem,
    applyDefaults: defaultRoleBinding,
    check: checkRoleBinding,
    columns: roleBindingColumns,
  },
  'rbac.authorization.k8s.io/v1.Role': { nameProblem: pathSegmentProblem, check: checkRole },
  'storage.k8s.io/v1.CSIDriver': { applyDefaults: defaultCsiDriver, check: checkCsiDriver, columns: csiDriverColumns },
  'storage.k8s.io/v1.CSINode': { check: checkCsiNode, columns: csiNodeColumns },
  'storage.k8s.io/v1.CSIStorageCapacity': { check: checkCsiStorageCapacity },
  'storage.k8s.io/v1.StorageClass': {
    applyDefaults: defaultStorageClass,
    check: checkStorageClass,
    columns: storageClassColumns,
  },
  'storage.k8s.io/v1.VolumeAttachment': { check: checkVolumeAttachment, columns: volumeAttachmentColumns },
  'admissionregistration.k8s.io/v1.MutatingWebhookConfiguration': {
    applyDefaults: defaultMutatingWebhooks,
    check: checkWebhooks,
    columns: webhookColumns,
  },
  'admissionregistration.k8s.io/v1.ValidatingAdmissionPolicy': {
    applyDefaults: defaultAdmissionPolicy,
    check: checkAdmissionPolicy,
    columns: admissionPolicyColumns,
  },
  'admissionregistration.k8s.io/v1.ValidatingAdmissionPolicyBinding': {
    applyDefaults: defaultAdmissionPolicyBinding,
    check: checkAdmissionPolicyBinding,
    columns: admissionPolicyBindingColumns,
  },
  'admissionregistration.k8s.io/v1.ValidatingWebhookConfiguration': {
    applyDefaults: defaultValidatingWebhooks,
    check: checkWebhooks,
    columns: webhookColumns,
  },
  'apiextensions.k8s.io/v1.CustomResourceDefinition': {},
  'scheduling.k8s.io/v1.PriorityClass': {
    applyDefaults: defaultPriorityClass,
    check: checkPriorityClass,
    columns: priorityClassColumns,
  },
  'node.k8s.io/v1.RuntimeClass': { check: checkRuntimeClass, columns: runtimeClassColumns },
  'flowcontrol.apiserver.k8s.io/v1.FlowSchema': {
    applyDefaults: defaultFlowSchema,
    check: checkFlowSchema,
    columns: flowSchemaColumns,
  },
  'flowcontrol.apiserver.k8s.io/v1.PriorityLevelConfiguration': {
    applyDefaults: defaultPriorityLevel,
    check: checkPriorityLevel,
    columns: priorityLevelColumns,
  },
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
