// What of the table of facts is served: every kind, in the table's order, which is that of discovery.
export const servedKinds = facts => facts.kinds;

/** Kinds that are asked or computed and never stored: an API server answers them by itself, or not at all. */
export const virtualKinds = new Set([
  '/v1/Binding',
  '/v1/ComponentStatus',
  'authentication.k8s.io/v1/SelfSubjectReview',
  'authentication.k8s.io/v1/TokenReview',
  'authentication.k8s.io/v1beta1/SelfSubjectReview',
  'authorization.k8s.io/v1/LocalSubjectAccessReview',
  'authorization.k8s.io/v1/SelfSubjectAccessReview',
  'authorization.k8s.io/v1/SelfSubjectRulesReview',
  'authorization.k8s.io/v1/SubjectAccessReview',
  'metrics.k8s.io/v1beta1/NodeMetrics',
  'metrics.k8s.io/v1beta1/PodMetrics',
]);

/** Kinds whose own name is taken at the front door of the package. */
export const namesTaken = new Set(['/v1/ComponentStatus']);

/** Kinds that are stored as another kind: its name here, and the conversion of kinds/versions/. */
export const storedElsewhere = {
  'autoscaling/v1/HorizontalPodAutoscaler': ['HorizontalPodAutoscaler', 'autoscalerV1'],
  'events.k8s.io/v1/Event': ['Event', 'eventsV1'],
};

// Bodies and options that the served kinds' subresources and verbs speak, beside the kinds themselves.
export const spokenTypes = [
  'autoscaling/v1.Scale',
  'policy/v1.Eviction',
  'authentication.k8s.io/v1.TokenRequest',
  'apiextensions.k8s.io/v1.ConversionReview',
  'core/v1.NodeProxyOptions',
  'core/v1.PodAttachOptions',
  'core/v1.PodExecOptions',
  'core/v1.PodLogOptions',
  'core/v1.PodPortForwardOptions',
  'core/v1.PodProxyOptions',
  'core/v1.ServiceProxyOptions',
  'meta/v1.CreateOptions',
  'meta/v1.DeleteOptions',
  'meta/v1.GetOptions',
  'meta/v1.ListOptions',
  'meta/v1.ListMeta',
  'meta/v1.PatchOptions',
  'meta/v1.Status',
  'meta/v1.TableOptions',
  'meta/v1.UpdateOptions',
];
