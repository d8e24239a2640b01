/**
 * Rules of ConfigMaps and Secrets: keys, size, what each type of secret must hold, and `immutable`. Source: core/validation
 * `ValidateConfigMap`, `ValidateSecret` and their updates (v0.33). Values of secrets never appear in a message.
 */
import { dnsSubdomainProblem } from '../../meta/names.js';
import type { corev1 } from '../generated/types/index.js';
import { configKeyProblem } from './forms.js';
import { type Report, sameValue } from './report.js';

/** Of all values together, in bytes. */
const maxConfigBytes = 1024 * 1024;

const base64Bytes = (text: string): number => Buffer.byteLength(text, 'base64');

export function checkConfigMap(report: Report, map: corev1.ConfigMap, previous?: corev1.ConfigMap): void {
  let bytes = 0;
  for (const key in map.data) {
    report.form(`data[${key}]`, key, configKeyProblem(key));
    if (map.binaryData && Object.hasOwn(map.binaryData, key))
      report.invalid(`data[${key}]`, key, 'duplicate of key present in binaryData');
    bytes += Buffer.byteLength(map.data[key]!);
  }
  for (const key in map.binaryData) {
    report.form(`binaryData[${key}]`, key, configKeyProblem(key));
    bytes += base64Bytes(map.binaryData[key]!);
  }
  if (bytes > maxConfigBytes) report.tooLong('data', maxConfigBytes);
  if (previous) checkImmutable(report, map, previous, ['data', 'binaryData']);
}

export function checkSecret(report: Report, secret: corev1.Secret, previous?: corev1.Secret): void {
  let bytes = 0;
  for (const key in secret.data) {
    report.form(`data[${key}]`, key, configKeyProblem(key));
    bytes += base64Bytes(secret.data[key]!);
  }
  if (bytes > maxConfigBytes) report.tooLong('data', maxConfigBytes);
  checkSecretType(report, secret);
  if (!previous) return;
  report.immutable('type', secret.type, previous.type);
  checkImmutable(report, secret, previous, ['data']);
}

function checkImmutable<T extends { immutable?: boolean }>(
  report: Report,
  object: T,
  previous: T,
  fields: readonly (keyof T & string)[],
): void {
  if (!previous.immutable) return;
  if (!object.immutable) report.forbidden('immutable', 'field is immutable when `immutable` is set');
  for (const field of fields) {
    if (!sameValue(object[field], previous[field]))
      report.forbidden(field, 'field is immutable when `immutable` is set');
  }
}

function checkSecretType(report: Report, secret: corev1.Secret): void {
  const has = (key: string): boolean => secret.data !== undefined && Object.hasOwn(secret.data, key);
  switch (secret.type) {
    case 'kubernetes.io/service-account-token': {
      const account = secret.metadata.annotations?.['kubernetes.io/service-account.name'];
      const field = 'metadata.annotations[kubernetes.io/service-account.name]';
      if (!account) report.required(field);
      else report.form(field, account, dnsSubdomainProblem(account));
      break;
    }
    case 'kubernetes.io/dockercfg':
      checkJson(report, secret, '.dockercfg');
      break;
    case 'kubernetes.io/dockerconfigjson':
      checkJson(report, secret, '.dockerconfigjson');
      break;
    case 'kubernetes.io/basic-auth':
      if (!has('username') && !has('password')) {
        report.required('data[username]');
        report.required('data[password]');
      }
      break;
    case 'kubernetes.io/ssh-auth':
      if (!secret.data?.['ssh-privatekey']) report.required('data[ssh-privatekey]');
      break;
    case 'kubernetes.io/tls':
      if (!has('tls.crt')) report.required('data[tls.crt]');
      if (!has('tls.key')) report.required('data[tls.key]');
  }
}

function checkJson(report: Report, secret: corev1.Secret, key: string): void {
  const content = secret.data?.[key];
  if (content === undefined) {
    report.required(`data[${key}]`);
    return;
  }
  try {
    const value: unknown = JSON.parse(Buffer.from(content, 'base64').toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return;
  } catch {
    // Told below, without the parser's words: they quote the content.
  }
  report.invalid(`data[${key}]`, '<secret contents redacted>', 'must be a JSON object');
}
