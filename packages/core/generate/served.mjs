// What is served so far, in discovery order; the rest of the table of facts follows with its behaviour.
export const served = [
  '/v1/Namespace',
  '/v1/Pod',
  '/v1/Node',
  '/v1/Service',
  '/v1/Endpoints',
  '/v1/ConfigMap',
  '/v1/Secret',
  '/v1/Event',
  '/v1/ServiceAccount',
  '/v1/Binding',
  'apps/v1/ReplicaSet',
  'apps/v1/Deployment',
  'coordination.k8s.io/v1/Lease',
  'discovery.k8s.io/v1/EndpointSlice',
  'autoscaling/v2/HorizontalPodAutoscaler',
];

// Bodies and options that the served kinds' subresources and verbs speak, beside the kinds themselves.
export const spokenTypes = [
  'autoscaling/v1.Scale',
  'policy/v1.Eviction',
  'authentication.k8s.io/v1.TokenRequest',
  'meta/v1.CreateOptions',
  'meta/v1.DeleteOptions',
  'meta/v1.ListOptions',
  'meta/v1.ListMeta',
  'meta/v1.PatchOptions',
  'meta/v1.Status',
  'meta/v1.TableOptions',
  'meta/v1.UpdateOptions',
];
