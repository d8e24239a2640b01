/**
 * Rules of containers: names, images, ports, environment, mounts. Source: core/validation `validateContainers`,
 * `validateInitContainers`, `validateEphemeralContainers` (v0.33).
 *
 * The rules of a container's own security context are few here; what a runtime cannot do it reports itself.
 */
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import { configKeyProblem, envNameProblem, portNameProblem, portProblem, subPathProblem } from './forms.js';
import { checkLifecycle, checkProbe } from './probe.js';
import type { Report } from './report.js';
import { checkQuantity, checkResources } from './resources.js';

/** What containers are judged by beside themselves. */
export interface PodContext {
  readonly volumes: ReadonlyMap<string, corev1.Volume>;
  readonly hostNetwork: boolean;
  readonly graceSeconds?: number;
}

type AnyContainer = corev1.Container & { targetContainerName?: string };

export function checkContainers(report: Report, spec: corev1.PodSpec, context: PodContext, path: string): void {
  const names = new Set<string>();
  if (!spec.containers?.length) report.required(`${path}.containers`);
  for (const [index, container] of (spec.containers ?? []).entries()) {
    const field = `${path}.containers[${index}]`;
    checkContainer(report, container, context, names, field);
    if (container.restartPolicy) report.forbidden(`${field}.restartPolicy`, 'may not be set for non-init containers');
    checkLifecycle(report, container.lifecycle, field, context.graceSeconds);
    checkProbes(report, container, field);
  }
  for (const [index, container] of (spec.initContainers ?? []).entries()) {
    const field = `${path}.initContainers[${index}]`;
    checkContainer(report, container, context, names, field);
    checkInitContainer(report, container, field, context.graceSeconds);
  }
  for (const [index, container] of (spec.ephemeralContainers ?? []).entries()) {
    checkEphemeralContainer(report, container, spec, context, names, `${path}.ephemeralContainers[${index}]`);
  }
  checkHostPorts(report, spec, path);
}

function checkProbes(report: Report, container: corev1.Container, field: string): void {
  checkProbe(report, container.livenessProbe, 'liveness', field);
  checkProbe(report, container.readinessProbe, 'readiness', field);
  checkProbe(report, container.startupProbe, 'startup', field);
}

function checkInitContainer(report: Report, container: corev1.Container, field: string, graceSeconds?: number): void {
  if (container.restartPolicy === 'Always') {
    checkLifecycle(report, container.lifecycle, field, graceSeconds);
    checkProbes(report, container, field);
    return;
  }
  if (container.restartPolicy) report.unsupported(`${field}.restartPolicy`, container.restartPolicy, ['Always']);
  for (const name of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const) {
    if (container[name])
      report.forbidden(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always');
  }
}

function checkEphemeralContainer(
  report: Report,
  container: corev1.EphemeralContainer,
  spec: corev1.PodSpec,
  context: PodContext,
  names: Set<string>,
  field: string,
): void {
  checkContainer(report, container as AnyContainer, context, names, field);
  const target = container.targetContainerName;
  const known = [...(spec.containers ?? []), ...(spec.initContainers ?? [])].some(each => each.name === target);
  if (target && !known) report.notFound(`${field}.targetContainerName`, target);
  for (const name of [
    'ports',
    'livenessProbe',
    'readinessProbe',
    'startupProbe',
    'lifecycle',
    'resources',
    'resizePolicy',
  ] as const) {
    const value = container[name];
    if (value && Object.keys(value).length > 0)
      report.forbidden(`${field}.${name}`, 'cannot be set for an Ephemeral Container');
  }
}

function checkContainer(
  report: Report,
  container: AnyContainer,
  context: PodContext,
  names: Set<string>,
  field: string,
): void {
  report.text(`${field}.name`, container.name, dnsLabelProblem);
  if (container.name) {
    if (names.has(container.name)) report.duplicate(`${field}.name`, container.name);
    names.add(container.name);
  }
  if (!container.image) report.required(`${field}.image`);
  else if (container.image !== container.image.trim()) {
    report.invalid(`${field}.image`, container.image, 'must not have leading or trailing whitespace');
  }
  if (container.ports) checkPorts(report, container.ports, context.hostNetwork, `${field}.ports`);
  for (const [index, variable] of (container.env ?? []).entries()) checkEnv(report, variable, `${field}.env[${index}]`);
  for (const [index, source] of (container.envFrom ?? []).entries())
    checkEnvFrom(report, source, `${field}.envFrom[${index}]`);
  if (container.volumeMounts) checkMounts(report, container, context, field);
  if (container.volumeDevices) checkDevices(report, container, context, field);
  checkResources(report, container.resources, `${field}.resources`);
  checkSecurity(report, container.securityContext, `${field}.securityContext`);
}

function checkPorts(report: Report, ports: readonly corev1.ContainerPort[], hostNetwork: boolean, path: string): void {
  const names = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `${path}[${index}]`;
    if (port.name) {
      const problem = portNameProblem(port.name);
      if (problem) report.invalid(`${field}.name`, port.name, problem);
      else if (names.has(port.name)) report.duplicate(`${field}.name`, port.name);
      names.add(port.name);
    }
    if (!port.containerPort) report.required(`${field}.containerPort`);
    else if (portProblem(port.containerPort))
      report.invalid(`${field}.containerPort`, port.containerPort, portProblem(port.containerPort)!);
    if (port.hostPort && portProblem(port.hostPort))
      report.invalid(`${field}.hostPort`, port.hostPort, portProblem(port.hostPort)!);
    else if (hostNetwork && port.hostPort && port.hostPort !== port.containerPort) {
      report.invalid(`${field}.hostPort`, port.hostPort, 'must match `containerPort` when `hostNetwork` is true');
    }
    if (!port.protocol) report.required(`${field}.protocol`);
  }
}

/** Two containers of a pod cannot have the same port of the host. */
function checkHostPorts(report: Report, spec: corev1.PodSpec, path: string): void {
  const taken = new Set<string>();
  for (const list of ['containers', 'initContainers'] as const) {
    for (const [index, container] of (spec[list] ?? []).entries()) {
      for (const [at, port] of (container.ports ?? []).entries()) {
        if (!port.hostPort) continue;
        const key = `${port.protocol ?? ''}/${port.hostIP ?? ''}/${port.hostPort}`;
        // Init containers that end leave their ports to those that follow.
        if (taken.has(key)) report.duplicate(`${path}.${list}[${index}].ports[${at}].hostPort`, key);
        else if (list === 'containers' || container.restartPolicy === 'Always') taken.add(key);
      }
    }
  }
}

const envFields = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
const containerResources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const isHugePageResource = (name: string): boolean => /^(limits|requests)\.hugepages-/.test(name);

function checkEnv(report: Report, variable: corev1.EnvVar, field: string): void {
  report.text(`${field}.name`, variable.name, envNameProblem);
  const from = variable.valueFrom;
  if (!from) return;
  const at = `${field}.valueFrom`;
  let found = 0;
  if (from.fieldRef) {
    found += 1;
    checkFieldRef(report, from.fieldRef, envFields, `${at}.fieldRef`);
  }
  if (from.resourceFieldRef) {
    found += 1;
    checkResourceFieldRef(report, from.resourceFieldRef, false, `${at}.resourceFieldRef`);
  }
  for (const name of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = from[name];
    if (!ref) continue;
    found += 1;
    if (!ref.name) report.required(`${at}.${name}.name`);
    report.text(`${at}.${name}.key`, ref.key, configKeyProblem);
  }
  if (variable.value) {
    if (found > 0) report.invalid(at, '', 'may not be specified when `value` is not empty');
  } else if (found === 0) {
    report.invalid(at, '', 'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`');
  } else if (found > 1) {
    report.invalid(at, '', 'may not have more than one field specified at a time');
  }
}

/** `metadata.labels['key']` -> what and which, or undefined when it has no subscript. */
const subscripted = /^(.+)\['([^']*)'\]$/;

/** A field of the pod for a variable or a file. Labels and annotations may be had by key. */
export function checkFieldRef(
  report: Report,
  ref: corev1.ObjectFieldSelector,
  supported: readonly string[],
  field: string,
): void {
  if (!ref.fieldPath) {
    report.required(`${field}.fieldPath`);
    return;
  }
  if (ref.apiVersion !== undefined && ref.apiVersion !== 'v1') {
    report.invalid(
      `${field}.fieldPath`,
      ref.fieldPath,
      `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`,
    );
    return;
  }
  const match = subscripted.exec(ref.fieldPath);
  if (match) {
    const [, base, key] = match as unknown as [string, string, string];
    if (base !== 'metadata.annotations' && base !== 'metadata.labels')
      report.invalid(`${field}.fieldPath`, base, 'does not support subscript');
    else
      report.form(
        `${field}.fieldPath`,
        key,
        qualifiedNameProblem(base === 'metadata.annotations' ? key.toLowerCase() : key),
      );
  } else if (!supported.includes(ref.fieldPath)) {
    report.unsupported(`${field}.fieldPath`, ref.fieldPath, supported);
  }
}

export function checkResourceFieldRef(
  report: Report,
  ref: corev1.ResourceFieldSelector,
  inVolume: boolean,
  field: string,
): void {
  if (inVolume && !ref.containerName) report.required(`${field}.containerName`);
  if (!ref.resource) report.required(`${field}.resource`);
  else if (!containerResources.includes(ref.resource) && !isHugePageResource(ref.resource)) {
    report.unsupported(`${field}.resource`, ref.resource, containerResources);
  }
  if (ref.divisor !== undefined) checkQuantity(report, ref.divisor, `${field}.divisor`);
}

function checkEnvFrom(report: Report, source: corev1.EnvFromSource, field: string): void {
  if (source.prefix) report.form(`${field}.prefix`, source.prefix, envNameProblem(source.prefix));
  let found = 0;
  for (const name of ['configMapRef', 'secretRef'] as const) {
    const ref = source[name];
    if (!ref) continue;
    found += 1;
    report.text(`${field}.${name}.name`, ref.name, dnsSubdomainProblem);
  }
  if (found === 0) report.invalid(field, '', 'must specify one of: `configMapRef` or `secretRef`');
  else if (found > 1) report.invalid(field, '', 'may not have more than one field specified at a time');
}

function checkMounts(report: Report, container: AnyContainer, context: PodContext, owner: string): void {
  const paths = new Set<string>();
  for (const [index, mount] of container.volumeMounts!.entries()) {
    const field = `${owner}.volumeMounts[${index}]`;
    if (!mount.name) report.required(`${field}.name`);
    else if (!context.volumes.has(mount.name)) report.notFound(`${field}.name`, mount.name);
    if (!mount.mountPath) report.required(`${field}.mountPath`);
    else if (paths.has(mount.mountPath)) report.invalid(`${field}.mountPath`, mount.mountPath, 'must be unique');
    paths.add(mount.mountPath);
    if (mount.subPath) report.form(`${field}.subPath`, mount.subPath, subPathProblem(mount.subPath));
    if (mount.subPathExpr) {
      if (mount.subPath)
        report.invalid(`${field}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive');
      report.form(`${field}.subPathExpr`, mount.subPathExpr, subPathProblem(mount.subPathExpr));
    }
    if (mount.mountPropagation === 'Bidirectional' && !container.securityContext?.privileged) {
      report.forbidden(
        `${field}.mountPropagation`,
        'Bidirectional mount propagation is available only to privileged containers',
      );
    }
  }
}

function checkDevices(report: Report, container: AnyContainer, context: PodContext, owner: string): void {
  const paths = new Set<string>();
  for (const [index, device] of container.volumeDevices!.entries()) {
    const field = `${owner}.volumeDevices[${index}]`;
    if (!device.name) report.required(`${field}.name`);
    else {
      const volume = context.volumes.get(device.name);
      if (!volume) report.notFound(`${field}.name`, device.name);
      else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
        report.invalid(
          `${field}.name`,
          device.name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        );
      }
    }
    if (!device.devicePath) report.required(`${field}.devicePath`);
    else if (paths.has(device.devicePath)) report.invalid(`${field}.devicePath`, device.devicePath, 'must be unique');
    paths.add(device.devicePath);
  }
}

function checkSecurity(report: Report, security: corev1.SecurityContext | undefined, field: string): void {
  if (!security) return;
  report.within(`${field}.runAsUser`, security.runAsUser, 0, 2147483647);
  report.within(`${field}.runAsGroup`, security.runAsGroup, 0, 2147483647);
  if (security.allowPrivilegeEscalation === false && security.privileged) {
    report.invalid(field, security, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true');
  }
}
