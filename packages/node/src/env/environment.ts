/**
 * The environment of one container.
 *
 * Order, as upstream: service variables, then `envFrom` in order, then `env` in order; later ones win. `$(NAME)` in a value sees
 * what came before it in `env`, else what came from services and `envFrom`. A missing key, ConfigMap or Secret that is not
 * optional is a `ConfigError`: the container waits as CreateContainerConfigError. Keys of `envFrom` that cannot be names of
 * variables are left out and reported.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { ConfigError } from './config-error.js';
import { expand } from './expansion.js';
import { fieldValue, type PodPlace } from './field-ref.js';
import type { References } from './references.js';
import { type Allocatable, resourceValue } from './resource-ref.js';
import { serviceVariables } from './service-links.js';

export interface EnvironmentInput {
  pod: Pod;
  container: corev1.Container;
  place: PodPlace;
  allocatable: Allocatable;
  references: References;
  signal?: AbortSignal;
}

export interface Environment {
  variables: { name: string; value: string }[];
  /** Keys of `envFrom` sources that were left out: `ConfigMap settings: a key`. */
  skipped: string[];
}

/** Upstream's rule (relaxed names, 1.33): printable ASCII without `=`. */
const variableName = /^[\x20-\x3c\x3e-\x7e]+$/;

export async function environmentOf(input: EnvironmentInput): Promise<Environment> {
  const { pod, container, references, signal } = input;
  const inherited = new Map<string, string>(
    Object.entries(serviceVariables(pod, await references.services(pod.metadata.namespace, signal))),
  );
  const skipped: string[] = [];
  for (const source of container.envFrom ?? []) {
    const found = await envFromSource(input, source);
    for (const [key, value] of Object.entries(found.data)) {
      const name = `${source.prefix ?? ''}${key}`;
      if (variableName.test(name)) inherited.set(name, value);
      else skipped.push(`${found.what}: ${key}`);
    }
  }
  const own = new Map<string, string>();
  for (const variable of container.env ?? []) {
    const value = variable.valueFrom
      ? await valueFrom(input, variable)
      : expand(variable.value ?? '', name => own.get(name) ?? inherited.get(name));
    if (value !== undefined) own.set(variable.name, value);
  }
  const variables = [...new Map([...inherited, ...own])].map(([name, value]) => ({ name, value }));
  return { variables, skipped };
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

async function envFromSource(
  { pod, references, signal }: EnvironmentInput,
  source: corev1.EnvFromSource,
): Promise<{ what: string; data: Record<string, string> }> {
  const namespace = pod.metadata.namespace;
  if (source.configMapRef) {
    const { name = '', optional } = source.configMapRef;
    const found = await references.configMap(namespace, name, signal);
    if (!found && !optional) throw new ConfigError(`configmap "${name}" not found in namespace "${namespace}"`);
    return { what: `ConfigMap ${name}`, data: found?.data ?? {} };
  }
  const { name = '', optional } = source.secretRef ?? {};
  const found = await references.secret(namespace, name, signal);
  if (!found && !optional) throw new ConfigError(`secret "${name}" not found in namespace "${namespace}"`);
  const data = Object.fromEntries(Object.entries(found?.data ?? {}).map(([key, value]) => [key, decode(value)]));
  return { what: `Secret ${name}`, data };
}

/** Undefined: an optional source is missing, the variable is not set at all. */
async function valueFrom(input: EnvironmentInput, variable: corev1.EnvVar): Promise<string | undefined> {
  const { pod, container, place, references, allocatable, signal } = input;
  const namespace = pod.metadata.namespace;
  const source = variable.valueFrom!;
  const where = `container ${container.name}, env ${variable.name}`;
  if (source.fieldRef) {
    const value = fieldValue(pod, source.fieldRef.fieldPath, place);
    if (value === undefined)
      throw new ConfigError(`${where}: fieldRef names no field of a pod: ${source.fieldRef.fieldPath}`);
    return value;
  }
  if (source.resourceFieldRef) {
    const value = resourceValue(pod, container, source.resourceFieldRef, allocatable);
    if (value === undefined) {
      const { containerName, resource } = source.resourceFieldRef;
      throw new ConfigError(
        `${where}: resourceFieldRef finds no ${resource} of container ${containerName ?? container.name}`,
      );
    }
    return value;
  }
  if (source.configMapKeyRef) {
    const { name = '', key, optional } = source.configMapKeyRef;
    const found = await references.configMap(namespace, name, signal);
    const value =
      found?.data?.[key] ?? (found?.binaryData?.[key] === undefined ? undefined : decode(found.binaryData[key]));
    if (value !== undefined || optional) return value;
    throw new ConfigError(
      found
        ? `couldn't find key ${key} in ConfigMap ${namespace}/${name}`
        : `configmap "${name}" not found in namespace "${namespace}"`,
    );
  }
  if (source.secretKeyRef) {
    const { name = '', key, optional } = source.secretKeyRef;
    const found = await references.secret(namespace, name, signal);
    const value = found?.data?.[key];
    if (value !== undefined) return decode(value);
    if (optional) return undefined;
    throw new ConfigError(
      found
        ? `couldn't find key ${key} in Secret ${namespace}/${name}`
        : `secret "${name}" not found in namespace "${namespace}"`,
    );
  }
  throw new ConfigError(
    `${where}: valueFrom names no source (fieldRef, resourceFieldRef, configMapKeyRef or secretKeyRef)`,
  );
}
