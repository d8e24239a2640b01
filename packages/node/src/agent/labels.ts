/**
 * The labels and annotations by which an agent knows its own: everything that it needs to adopt what runs after its own
 * restart stands on the sandboxes and containers themselves.
 */
export const labels = {
  /** Random id of the agent's data directory: two agents on one Docker daemon leave each other's pods alone. */
  agent: 'orbitkit.dev/agent',
  podName: 'orbitkit.dev/pod-name',
  podNamespace: 'orbitkit.dev/pod-namespace',
  podUid: 'orbitkit.dev/pod-uid',
  containerName: 'orbitkit.dev/container-name',
  /** `init`, `sidecar`, `app` or `ephemeral`. */
  containerType: 'orbitkit.dev/container-type',
  restartCount: 'orbitkit.dev/restart-count',
  /** Hash of what of the container's spec cannot change without a restart. */
  specHash: 'orbitkit.dev/container-spec-hash',
  /** The pod's grace period, for the case that the pod is gone when the agent comes back. */
  graceSeconds: 'orbitkit.dev/termination-grace-seconds',
} as const;

/** Annotations that an agent writes on its Node. */
export const annotations = {
  /** On the Node: SHA-256 of the agent's serving certificate in DER, lower-case hex. The API server pins it. */
  servingCertificate: 'orbitkit.dev/serving-certificate-sha256',
  /** On the Node: what the runtime can do, sorted, separated by commas. */
  runtimeCapabilities: 'orbitkit.dev/runtime-capabilities',
} as const;

/** Condition types of orbitkit's own, beside Kubernetes'. */
export const conditions = {
  /** On the Node: True while the runtime lacks capabilities that pods may expect; the message names them. */
  runtimeLimited: 'orbitkit.dev/RuntimeLimited',
  /** On a Pod: True while the runtime cannot give something that the pod asks for; the message names each. */
  limited: 'orbitkit.dev/Limited',
} as const;
