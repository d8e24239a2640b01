/**
 * Rules of `metadata` that hold for every kind. The kind tells the form of its names and whether it lives in a namespace.
 * Source: apimachinery `api/validation` and the finalizer rule of core/validation (v0.33).
 */
import type { FieldError } from '../../errors/status-error.js';
import { dnsLabelProblem, dnsSubdomainProblem, labelValueProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { ObjectMeta } from '../../meta/object.js';
import { Report } from './report.js';

export interface NameRule {
  readonly namespaced: boolean;
  /** Default: RFC 1123 subdomain. */
  readonly nameProblem?: (name: string) => string | undefined;
}

/** What is wrong with metadata; with `previous` also what may not change. */
export function metadataErrors(meta: ObjectMeta, rule: NameRule, previous?: ObjectMeta): FieldError[] {
  const report = new Report();
  checkMetadata(report, meta, rule, previous);
  return report.errors;
}

/** Keys and values together, in bytes. */
const maxAnnotationBytes = 256 * 1024;

const standardFinalizers = new Set(['kubernetes', 'orphan', 'foregroundDeletion']);

export function checkMetadata(report: Report, meta: ObjectMeta, rule: NameRule, previous?: ObjectMeta): void {
  checkName(report, meta, rule);
  checkLabels(report, meta.labels, 'metadata.labels');
  checkAnnotations(report, meta.annotations, 'metadata.annotations');
  checkOwners(report, meta);
  checkFinalizers(report, meta.finalizers, 'metadata.finalizers');
  if (meta.generation !== undefined && meta.generation < 0) report.notNegative('metadata.generation', meta.generation);
  if (previous) checkMetadataUpdate(report, meta, previous);
}

function checkName(
  report: Report,
  meta: ObjectMeta,
  { namespaced, nameProblem = dnsSubdomainProblem }: NameRule,
): void {
  if (meta.generateName) {
    // What the server appends begins with an alphanumeric, so a dash at the end is in order.
    const stem = meta.generateName.replace(/-+$/, '') || meta.generateName;
    report.form('metadata.generateName', meta.generateName, nameProblem(stem));
  }
  if (!meta.name) {
    if (!meta.generateName) report.required('metadata.name', 'name or generateName is required');
  } else {
    report.form('metadata.name', meta.name, nameProblem(meta.name));
  }
  if (!namespaced) {
    if (meta.namespace) report.forbidden('metadata.namespace', 'not allowed on this type');
  } else if (!meta.namespace) {
    report.required('metadata.namespace');
  } else {
    report.form('metadata.namespace', meta.namespace, dnsLabelProblem(meta.namespace));
  }
}

export function checkLabels(report: Report, labels: Readonly<Record<string, string>> | undefined, field: string): void {
  for (const key in labels) {
    report.form(field, key, qualifiedNameProblem(key));
    report.form(field, labels[key]!, labelValueProblem(labels[key]!));
  }
}

export function checkAnnotations(
  report: Report,
  annotations: Readonly<Record<string, string>> | undefined,
  field: string,
): void {
  let bytes = 0;
  for (const key in annotations) {
    // Annotation keys are the one place where case does not count.
    report.form(field, key, qualifiedNameProblem(key.toLowerCase()));
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key]!);
  }
  if (bytes > maxAnnotationBytes) report.tooLong(field, maxAnnotationBytes);
}

function checkOwners(report: Report, meta: ObjectMeta): void {
  let controller: string | undefined;
  for (const [index, owner] of (meta.ownerReferences ?? []).entries()) {
    const field = `metadata.ownerReferences[${index}]`;
    if (!owner.apiVersion || owner.apiVersion.endsWith('/')) {
      report.invalid(`${field}.apiVersion`, owner.apiVersion ?? '', 'version must not be empty');
    }
    for (const name of ['kind', 'name', 'uid'] as const) {
      if (!owner[name]) report.invalid(`${field}.${name}`, owner[name] ?? '', 'must not be empty');
    }
    if (owner.kind === 'Event' && (owner.apiVersion === 'v1' || owner.apiVersion === 'events.k8s.io/v1')) {
      report.invalid(field, owner, `${owner.apiVersion}, Kind=Event is disallowed from being an owner`);
    }
    if (!owner.controller) continue;
    if (controller !== undefined) {
      report.invalid(
        'metadata.ownerReferences',
        meta.ownerReferences,
        `Only one reference can have Controller set to true. Found "true" in references for ${controller} and ${owner.name}`,
      );
    } else {
      controller = owner.name;
    }
  }
}

export function checkFinalizers(report: Report, finalizers: readonly string[] | undefined, field: string): void {
  if (!finalizers) return;
  for (const [index, finalizer] of finalizers.entries()) {
    const problem = qualifiedNameProblem(finalizer);
    if (problem) report.invalid(field, finalizer, problem);
    else if (!finalizer.includes('/') && !standardFinalizers.has(finalizer)) {
      report.invalid(
        `${field}[${index}]`,
        finalizer,
        'name is neither a standard finalizer name nor is it fully qualified',
      );
    }
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion')) {
    report.invalid(field, finalizers, 'finalizer orphan and foregroundDeletion cannot be both set');
  }
}

/** What the server fills in may be left out of an update; what is there must not differ. */
function checkMetadataUpdate(report: Report, meta: ObjectMeta, previous: ObjectMeta): void {
  for (const name of ['name', 'namespace', 'uid', 'creationTimestamp'] as const) {
    if (meta[name] && previous[name] && meta[name] !== previous[name])
      report.immutable(`metadata.${name}`, meta[name], previous[name]);
  }
  if (previous.deletionTimestamp) {
    for (const name of ['deletionTimestamp', 'deletionGracePeriodSeconds'] as const) {
      if (meta[name] !== undefined && previous[name] !== undefined && meta[name] !== previous[name]) {
        report.immutable(`metadata.${name}`, meta[name], previous[name]);
      }
    }
    const added = (meta.finalizers ?? []).filter(each => !previous.finalizers?.includes(each));
    if (added.length > 0) {
      report.forbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map(each => JSON.stringify(each)).join(', ')}}`,
      );
    }
  }
  if (meta.generation !== undefined && previous.generation !== undefined && meta.generation < previous.generation) {
    report.invalid('metadata.generation', meta.generation, 'must not be decremented');
  }
}
