/** What pod specs of the older systems say differently. Each rule rewrites one thing and says so. */
import { legalName } from './names.js';
import type { Json, Warn } from './translate.js';

const restartPolicies: Readonly<Record<string, string>> = { RestartOnFailure: 'OnFailure' };
const pullPolicies: Readonly<Record<string, string>> = { PullIfNotPresent: 'IfNotPresent' };
const metricsAnnotation = 'prometheus.io/port';

/** `holder` carries the pod's metadata (the pod itself, or its template). */
export function podQuirks(spec: Json | undefined, path: string, warn: Warn, holder: Json | undefined): void {
  if (typeof spec !== 'object' || spec === null) return;
  const restart = restartPolicies[spec.restartPolicy];
  if (restart) {
    warn(`${path}.restartPolicy ${spec.restartPolicy} was read as ${restart}`);
    spec.restartPolicy = restart;
  }
  for (const key of ['initContainers', 'containers']) {
    for (const [index, container] of (spec[key] ?? []).entries()) {
      if (typeof container === 'object' && container)
        containerQuirks(container, `${path}.${key}[${index}]`, warn, spec, holder);
    }
  }
  undeclaredVolumes(spec, path, warn);
  for (const [index, term] of (
    spec.affinity?.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []
  ).entries()) {
    if (term.topologyKey) continue;
    term.topologyKey = 'kubernetes.io/hostname';
    warn(`${path}.affinity.podAntiAffinity[${index}] has no topologyKey; kubernetes.io/hostname was taken`);
  }
}

function containerQuirks(container: Json, path: string, warn: Warn, spec: Json, holder: Json | undefined): void {
  const pull = pullPolicies[container.imagePullPolicy];
  if (pull) {
    warn(`${path}.imagePullPolicy ${container.imagePullPolicy} was read as ${pull}`);
    container.imagePullPolicy = pull;
  }
  if (typeof container.name === 'string' && legalName(container.name) !== container.name) {
    warn(`${path}.name "${container.name}" was rewritten to "${legalName(container.name)}"`);
    container.name = legalName(container.name);
  }
  for (const variable of container.env ?? []) {
    if (typeof variable?.value !== 'number' && typeof variable?.value !== 'boolean') continue;
    warn(`${path}.env "${variable.name}": the value ${variable.value} was read as text`);
    variable.value = String(variable.value);
  }
  resourceQuirks(container, path, warn);
  portQuirks(container, path, warn, holder);
  mountQuirks(container, path, warn, spec);
}

function resourceQuirks(container: Json, path: string, warn: Warn): void {
  const { resources } = container;
  if (typeof resources !== 'object' || resources === null) return;
  if (resources.request !== undefined) {
    resources.requests = { ...resources.request, ...resources.requests };
    delete resources.request;
    warn(`${path}.resources.request was read as requests`);
  }
  const flat = Object.fromEntries(
    ['cpu', 'memory'].flatMap(name => (resources[name] === undefined ? [] : [[name, resources[name]]])),
  );
  if (Object.keys(flat).length === 0) return;
  for (const name of Object.keys(flat)) delete resources[name];
  resources.limits = { ...flat, ...resources.limits };
  warn(`${path}.resources without limits or requests was read as limits`);
}

function portQuirks(container: Json, path: string, warn: Warn, holder: Json | undefined): void {
  if (!Array.isArray(container.ports)) return;
  const ports: Json[] = [];
  for (const port of container.ports as Json[]) {
    const last = ports.at(-1);
    if (port.hostPort !== undefined && port.containerPort === undefined && last && last.hostPort === undefined) {
      Object.assign(last, port);
      warn(`${path}.ports: an item with only a hostPort was joined to the one before it`);
      continue;
    }
    ports.push(port);
  }
  for (const port of ports) {
    if (port.targetPort !== undefined) {
      port.containerPort ??= port.targetPort;
      delete port.targetPort;
      warn(`${path}.ports: targetPort belongs to services; it was dropped`);
    }
    if (port.metrics !== undefined) {
      delete port.metrics;
      if (holder) {
        const metadata = holder.metadata ?? holder;
        metadata.annotations = {
          ...metadata.annotations,
          'prometheus.io/scrape': 'true',
          [metricsAnnotation]: String(port.containerPort),
        };
      }
      warn(`${path}.ports: metrics was kept as the annotations prometheus.io/scrape and ${metricsAnnotation}`);
    }
  }
  container.ports = ports;
}

/** `mounts[]` binds host folders without a volume. They must be there: nothing is made on the machine in silence. */
function mountQuirks(container: Json, path: string, warn: Warn, spec: Json): void {
  if (!Array.isArray(container.mounts)) return;
  for (const mount of container.mounts as Json[]) {
    spec.volumes ??= [];
    const known = spec.volumes.find((volume: Json) => volume.hostPath?.path === mount.hostPath);
    const name = known?.name ?? `mount-${spec.volumes.length}`;
    if (!known) spec.volumes.push({ name, hostPath: { path: mount.hostPath, type: 'Directory' } });
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name, mountPath: mount.containerPath, ...(mount.readOnly ? { readOnly: true } : {}) },
    ];
  }
  delete container.mounts;
  warn(`${path}.mounts was read as hostPath volumes`);
}

/** A mount of a volume that nobody declared was a folder of the node there; here it is the pod's own. */
function undeclaredVolumes(spec: Json, path: string, warn: Warn): void {
  const declared = new Set((spec.volumes ?? []).map((volume: Json) => volume.name));
  for (const container of [...(spec.initContainers ?? []), ...(spec.containers ?? [])]) {
    for (const mount of container?.volumeMounts ?? []) {
      if (declared.has(mount.name)) continue;
      declared.add(mount.name);
      spec.volumes = [...(spec.volumes ?? []), { name: mount.name, emptyDir: {} }];
      warn(`${path}: volume "${mount.name}" is not declared; an emptyDir of the pod was added`);
    }
  }
}
