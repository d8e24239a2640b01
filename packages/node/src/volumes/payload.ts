/**
 * What stands in a configMap, secret, downwardAPI or projected volume: relative paths with bytes and modes.
 *
 * A missing ConfigMap, Secret or key is a ConfigError unless it is optional; later sources of a projected volume win over earlier
 * ones at the same path. Paths never leave the volume: no absolute path, no `..` part.
 */
import type { corev1, Pod } from '@orbitkit/core';
import { ConfigError } from '../env/config-error.js';
import { fieldValue, type PodPlace } from '../env/field-ref.js';
import type { References } from '../env/references.js';
import { type Allocatable, resourceValue } from '../env/resource-ref.js';
import type { ServiceAccountTokens } from './service-account-tokens.js';

export interface PayloadFile {
  data: Buffer;
  mode: number;
}

/** By path relative to the volume, with `/`. */
export type Payload = Map<string, PayloadFile>;

export interface PayloadInput {
  pod: Pod;
  place: PodPlace;
  allocatable: Allocatable;
  references: References;
  /** Absent: tokens cannot be had here. */
  tokens?: ServiceAccountTokens;
  signal?: AbortSignal;
}

/** Upstream's default for all four kinds of volume. */
const defaultFileMode = 0o644;

/** @throws ConfigError when the path would leave the volume. */
function assertRelative(path: string, where: string): void {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || path.includes('\0') || parts.includes('..') || path.startsWith('..')) {
    throw new ConfigError(`${where}: path ${JSON.stringify(path)} must be relative, without ".." parts`);
  }
}

/** The payload of a volume, or undefined when it is of another type. */
export async function payloadOf(volume: corev1.Volume, input: PayloadInput): Promise<Payload | undefined> {
  const where = `volume ${volume.name}`;
  if (volume.configMap) return configMap(volume.configMap, volume.configMap.defaultMode, where, input);
  if (volume.secret) {
    const { secretName, ...rest } = volume.secret;
    return secret({ ...rest, name: secretName ?? '' }, volume.secret.defaultMode, where, input);
  }
  if (volume.downwardAPI) return downwardAPI(volume.downwardAPI, volume.downwardAPI.defaultMode, where, input);
  if (!volume.projected) return undefined;
  const mode = volume.projected.defaultMode;
  const result: Payload = new Map();
  for (const [index, source] of (volume.projected.sources ?? []).entries()) {
    const at = `${where}, source ${index + 1}`;
    const part = source.configMap
      ? await configMap(source.configMap, mode, at, input)
      : source.secret
        ? await secret(source.secret, mode, at, input)
        : source.downwardAPI
          ? downwardAPI(source.downwardAPI, mode, at, input)
          : source.serviceAccountToken && input.tokens
            ? await accountToken(source.serviceAccountToken, mode, at, input.tokens, input)
            : unsupported(source, at);
    for (const [path, file] of part) result.set(path, file);
  }
  return result;
}

function unsupported(source: corev1.VolumeProjection, where: string): never {
  const kind = Object.keys(source)[0] ?? 'nothing';
  throw new ConfigError(`${where}: ${kind} is not supported by this node; use configMap, secret or downwardAPI`);
}

async function accountToken(
  { path, audience, expirationSeconds }: corev1.ServiceAccountTokenProjection,
  mode: number | undefined,
  where: string,
  tokens: ServiceAccountTokens,
  { pod, signal }: PayloadInput,
): Promise<Payload> {
  assertRelative(path, where);
  const token = await tokens.token(pod, { audience, expirationSeconds }, signal);
  return new Map([[path, { data: Buffer.from(token), mode: mode ?? defaultFileMode }]]);
}

interface KeyedSource {
  name?: string;
  items?: corev1.KeyToPath[];
  optional?: boolean;
}

async function configMap(
  source: KeyedSource,
  mode: number | undefined,
  where: string,
  input: PayloadInput,
): Promise<Payload> {
  const { name = '' } = source;
  const namespace = input.pod.metadata.namespace;
  const found = await input.references.configMap(namespace, name, input.signal);
  if (!found) return missing(source, `configmap "${name}" not found in namespace "${namespace}"`, where);
  const data = new Map<string, Buffer>();
  for (const [key, text] of Object.entries(found.data ?? {})) data.set(key, Buffer.from(text, 'utf8'));
  for (const [key, base64] of Object.entries(found.binaryData ?? {})) data.set(key, Buffer.from(base64, 'base64'));
  return keyed(data, source, mode, where, `ConfigMap ${namespace}/${name}`);
}

async function secret(
  source: KeyedSource,
  mode: number | undefined,
  where: string,
  input: PayloadInput,
): Promise<Payload> {
  const { name = '' } = source;
  const namespace = input.pod.metadata.namespace;
  const found = await input.references.secret(namespace, name, input.signal);
  if (!found) return missing(source, `secret "${name}" not found in namespace "${namespace}"`, where);
  const data = new Map(Object.entries(found.data ?? {}).map(([key, base64]) => [key, Buffer.from(base64, 'base64')]));
  return keyed(data, source, mode, where, `Secret ${namespace}/${name}`);
}

function missing(source: KeyedSource, message: string, where: string): Payload {
  if (source.optional) return new Map();
  throw new ConfigError(`${where}: ${message}`);
}

function keyed(
  data: ReadonlyMap<string, Buffer>,
  source: KeyedSource,
  defaultMode: number | undefined,
  where: string,
  what: string,
): Payload {
  const result: Payload = new Map();
  const items = source.items?.length
    ? source.items
    : [...data.keys()].map((key): corev1.KeyToPath => ({ key, path: key }));
  for (const { key, path, mode } of items) {
    const bytes = data.get(key);
    if (!bytes) {
      if (source.optional) continue;
      throw new ConfigError(`${where}: ${what} has no key ${key}`);
    }
    assertRelative(path, where);
    result.set(path, { data: bytes, mode: mode ?? defaultMode ?? defaultFileMode });
  }
  return result;
}

function downwardAPI(
  source: { items?: corev1.DownwardAPIVolumeFile[] },
  defaultMode: number | undefined,
  where: string,
  { pod, place, allocatable }: PayloadInput,
): Payload {
  const result: Payload = new Map();
  for (const { path, fieldRef, resourceFieldRef, mode } of source.items ?? []) {
    assertRelative(path, where);
    const value = fieldRef
      ? fieldValue(pod, fieldRef.fieldPath, place)
      : resourceFieldRef && resourceValue(pod, undefined, resourceFieldRef, allocatable);
    if (value === undefined) {
      const asked =
        fieldRef?.fieldPath ?? `${resourceFieldRef?.resource} of container ${resourceFieldRef?.containerName}`;
      throw new ConfigError(`${where}: ${path} refers to nothing that the downward API offers: ${asked}`);
    }
    result.set(path, { data: Buffer.from(value, 'utf8'), mode: mode ?? defaultMode ?? defaultFileMode });
  }
  return result;
}
