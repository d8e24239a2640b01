/**
 * Whom a webhook or a policy is about: rules of operations and resources, the namespace's labels, the object's labels, and conditions in CEL.
 * Source: apiserver `admission/plugin/webhook/predicates`, `matchconditions` (v0.33).
 */
import {
  type admissionregistrationv1,
  type DynamicObject,
  type Kind,
  type KindRegistry,
  type LabelSelector,
  labelSelectorOf,
  notFound,
  type ParsedLabelSelector,
} from '@orbitkit/core';
import type { AdmissionReader, AdmissionRequest } from '../admission/contract.js';

type Rule = admissionregistrationv1.RuleWithOperations & { resourceNames?: string[] };

const has = (values: readonly string[] | undefined, value: string): boolean =>
  values?.some(each => each === '*' || each === value) ?? false;

function matchesResource(rule: Rule, { kind, subresource }: AdmissionRequest): boolean {
  return (
    rule.resources?.some(each => {
      const [resource, part] = each.split('/');
      if (each === '*/*') return true;
      const named = resource === '*' || resource === kind.plural;
      // `pods/*` is about pods too, as in upstream.
      return named && (part === '*' || part === subresource);
    }) ?? false
  );
}

function matchesScope({ scope }: Rule, { kind }: AdmissionRequest): boolean {
  return scope === undefined || scope === '*' || (scope === 'Namespaced') === kind.namespaced;
}

/** The form in which the rules want the object: its own kind, or an equivalent version of it. Undefined: they are not about it. */
export function ruledKind(
  rules: readonly Rule[] | undefined,
  request: AdmissionRequest,
  equivalent: boolean,
  kinds: KindRegistry | undefined,
): Kind | undefined {
  const { kind, operation } = request;
  const about = (rules ?? []).filter(
    rule =>
      has(rule.operations, operation) &&
      has(rule.apiGroups, kind.group) &&
      matchesResource(rule, request) &&
      matchesScope(rule, request) &&
      (rule.resourceNames === undefined ||
        rule.resourceNames.length === 0 ||
        rule.resourceNames.includes(request.name)),
  );
  if (about.some(rule => has(rule.apiVersions, kind.version))) return kind;
  if (!equivalent || kinds === undefined || request.subresource !== undefined) return undefined;
  for (const rule of about) {
    for (const version of rule.apiVersions ?? []) {
      const other = kinds.byResource(kind.group, version, kind.plural);
      if (other?.storage) return other as Kind;
    }
  }
  return undefined;
}

const selectors = new WeakMap<LabelSelector, ParsedLabelSelector>();
function selectorOf(selector: LabelSelector): ParsedLabelSelector {
  let parsed = selectors.get(selector);
  if (parsed === undefined) {
    parsed = labelSelectorOf(selector);
    selectors.set(selector, parsed);
  }
  return parsed;
}

const isEmpty = (selector: LabelSelector | undefined): selector is undefined =>
  selector === undefined ||
  (Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions?.length ?? 0) === 0);

export function matchesObject(selector: LabelSelector | undefined, { object, oldObject }: AdmissionRequest): boolean {
  if (isEmpty(selector)) return true;
  const parsed = selectorOf(selector);
  return [object, oldObject].some(each => each !== undefined && parsed.matches(each.metadata.labels ?? {}));
}

const namespaces = { group: '', plural: 'namespaces' };

/** Objects of no namespace are in every selection; a namespace is selected by its own labels. */
export async function matchesNamespace(
  selector: LabelSelector | undefined,
  request: AdmissionRequest,
  reader: AdmissionReader,
): Promise<boolean> {
  if (isEmpty(selector)) return true;
  const { kind, object, oldObject } = request;
  if (kind.group === '' && kind.plural === 'namespaces') {
    return selectorOf(selector).matches((object ?? oldObject)?.metadata.labels ?? {});
  }
  const namespace = await namespaceOf(request, reader);
  return namespace === undefined || selectorOf(selector).matches(namespace.metadata.labels ?? {});
}

/** The namespace of the object; undefined for one that is in none. */
export async function namespaceOf(
  { namespace, signal }: AdmissionRequest,
  reader: AdmissionReader,
): Promise<Readonly<DynamicObject> | undefined> {
  if (!namespace) return undefined;
  const key = { name: namespace };
  const found = reader.peek(namespaces, key) ?? (await reader.read(namespaces, key, signal));
  if (!found) throw notFound(namespaces, namespace);
  return found.object();
}
