/**
 * Defaults of pods and pod templates. Source: core/v1 `SetDefaults_*` and conversion (v0.33).
 *
 * A pod alone, not a template, gets requests from limits and enableServiceLinks. Admission's own fields (priority, the default
 * tolerations, the service account) are not here.
 */
import type { corev1 } from '../generated/types/index.js';

export function defaultPod(pod: corev1.Pod): void {
  const { spec } = pod;
  defaultPodSpec(spec);
  spec.enableServiceLinks ??= true;
  for (const container of spec.containers ?? []) defaultRequests(container);
  for (const container of spec.initContainers ?? []) defaultRequests(container);
  if (spec.hostNetwork) {
    for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
      for (const port of container.ports ?? []) port.hostPort ||= port.containerPort;
    }
  }
}

/** What is limited and not asked for is asked for up to its limit. */
function defaultRequests(container: corev1.Container): void {
  const { resources } = container;
  if (!resources?.limits) return;
  resources.requests ??= {};
  for (const name in resources.limits) resources.requests[name] ??= resources.limits[name]!;
}

export function defaultPodTemplate(template: corev1.PodTemplateSpec | undefined): void {
  if (template?.spec) defaultPodSpec(template.spec);
}

function defaultPodSpec(spec: corev1.PodSpec): void {
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container as corev1.Container);
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= 'ClusterFirst';
  // The older field is an alias of the newer one.
  const account = spec.serviceAccountName || spec.serviceAccount;
  if (account) {
    spec.serviceAccountName = account;
    spec.serviceAccount = account;
  }
  spec.securityContext ??= {};
  spec.schedulerName ??= 'default-scheduler';
}

function defaultContainer(container: corev1.Container): void {
  for (const port of container.ports ?? []) port.protocol ??= 'TCP';
  for (const variable of container.env ?? []) {
    const from = variable.valueFrom;
    if (from?.fieldRef) from.fieldRef.apiVersion ??= 'v1';
    if (from?.resourceFieldRef) from.resourceFieldRef.divisor ??= '0';
  }
  container.resources ??= {};
  defaultProbe(container.livenessProbe);
  defaultProbe(container.readinessProbe);
  defaultProbe(container.startupProbe);
  defaultHttpGet(container.lifecycle?.postStart?.httpGet);
  defaultHttpGet(container.lifecycle?.preStop?.httpGet);
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.imagePullPolicy ??= pullPolicyOf(container.image ?? '');
}

/** Always for `:latest` and for no tag at all; a digest is as good as a tag. */
export function pullPolicyOf(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const name = image.slice(image.lastIndexOf('/') + 1);
  const colon = name.indexOf(':');
  return colon < 0 || name.slice(colon + 1) === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultProbe(probe: corev1.Probe | undefined): void {
  if (!probe) return;
  // These have no pointer in Go: a zero stands for "not set".
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc) probe.grpc.service ??= '';
}

function defaultHttpGet(get: corev1.HTTPGetAction | undefined): void {
  if (!get) return;
  get.path ||= '/';
  get.scheme ||= 'HTTP';
}

/** rw-r--r-- */
const fileMode = 0o644;

function defaultVolume(volume: corev1.Volume): void {
  let hasSource = false;
  for (const name in volume) {
    if (name === 'name' || volume[name as keyof corev1.Volume] === undefined) continue;
    hasSource = true;
    sourceDefaults[name]?.(volume);
  }
  if (!hasSource) volume.emptyDir = {};
}

/** Of a volume's source, by its name; persistent volumes have the same. */
export const sourceDefaults: Readonly<Record<string, (volume: corev1.Volume) => void>> = {
  configMap: ({ configMap }) => {
    configMap!.defaultMode ??= fileMode;
  },
  secret: ({ secret }) => {
    secret!.defaultMode ??= fileMode;
  },
  downwardAPI: ({ downwardAPI }) => {
    downwardAPI!.defaultMode ??= fileMode;
    defaultFiles(downwardAPI!.items);
  },
  projected: ({ projected }) => {
    projected!.defaultMode ??= fileMode;
    for (const source of projected!.sources ?? []) {
      if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= 3600;
      defaultFiles(source.downwardAPI?.items);
    }
  },
  hostPath: ({ hostPath }) => {
    hostPath!.type ??= '';
  },
  ephemeral: ({ ephemeral }) => {
    if (ephemeral!.volumeClaimTemplate) ephemeral!.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  },
  image: ({ image }) => {
    image!.pullPolicy ??= pullPolicyOf(image!.reference ?? '');
  },
  iscsi: ({ iscsi }) => {
    iscsi!.iscsiInterface ||= 'default';
  },
  rbd: ({ rbd }) => {
    rbd!.pool ||= 'rbd';
    rbd!.user ||= 'admin';
    rbd!.keyring ||= '/etc/ceph/keyring';
  },
  azureDisk: ({ azureDisk }) => {
    azureDisk!.cachingMode ??= 'ReadWrite';
    azureDisk!.kind ??= 'Shared';
    azureDisk!.fsType ??= 'ext4';
    azureDisk!.readOnly ??= false;
  },
  scaleIO: ({ scaleIO }) => {
    scaleIO!.storageMode ||= 'ThinProvisioned';
    scaleIO!.fsType ||= 'xfs';
  },
};

function defaultFiles(files: readonly corev1.DownwardAPIVolumeFile[] | undefined): void {
  for (const file of files ?? []) {
    if (file.fieldRef) file.fieldRef.apiVersion ??= 'v1';
    if (file.resourceFieldRef) file.resourceFieldRef.divisor ??= '0';
  }
}
