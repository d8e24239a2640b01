/**
 * The fields by which objects of a resource can be selected, and how their values are read: every resource its name and
 * namespace, some a few more. List and semantics: kube-apiserver's registry strategies (`ToSelectableFields`) and the field
 * label conversions of each group (kube-wire.md 6). A boolean is `true` or `false`, an absent value the empty string.
 */
import { badRequest, type DynamicObject, type FieldSelector, type Kind, parseFieldSelector } from '@orbitkit/core';
import { type ResourceId, resourceIdOf } from './storage-keys.js';

type Reader = (object: Readonly<DynamicObject>) => unknown;

export interface SelectableFields {
  /** Beside `metadata.name` and `metadata.namespace`. */
  readonly extra: ReadonlySet<string>;
  of(object: Readonly<DynamicObject>): Readonly<Record<string, string>>;
  /** A field whose equality watchers are indexed by: thousands of node agents each watch the pods of their own node. */
  readonly indexed?: string | undefined;
}

function selectable(readers: Readonly<Record<string, Reader>>, indexed?: string): SelectableFields {
  const entries = Object.entries(readers);
  return {
    extra: new Set(Object.keys(readers)),
    indexed,
    of(object) {
      const fields: Record<string, string> = {
        'metadata.name': object.metadata.name,
        'metadata.namespace': object.metadata.namespace ?? '',
      };
      for (const [name, read] of entries) {
        const value = read(object);
        fields[name] = value === undefined || value === null ? '' : String(value);
      }
      return fields;
    },
  };
}

const metadataOnly = selectable({});

const byResource: Readonly<Record<ResourceId, SelectableFields>> = {
  'core/pods': selectable(
    {
      'spec.nodeName': pod => pod.spec?.nodeName,
      'spec.restartPolicy': pod => pod.spec?.restartPolicy,
      'spec.schedulerName': pod => pod.spec?.schedulerName,
      'spec.serviceAccountName': pod => pod.spec?.serviceAccountName,
      'spec.hostNetwork': pod => pod.spec?.hostNetwork ?? false,
      'status.phase': pod => pod.status?.phase,
      'status.podIP': pod => pod.status?.podIP,
      'status.podIPs': pod => pod.status?.podIPs?.map((each: { ip: string }) => each.ip).join(','),
      'status.nominatedNodeName': pod => pod.status?.nominatedNodeName,
    },
    'spec.nodeName',
  ),
  'core/nodes': selectable({ 'spec.unschedulable': node => node.spec?.unschedulable ?? false }),
  'core/namespaces': selectable({ 'status.phase': namespace => namespace.status?.phase }),
  'core/secrets': selectable({ type: secret => secret.type }),
  'core/replicationcontrollers': selectable({ 'status.replicas': controller => controller.status?.replicas ?? 0 }),
  'apps/replicasets': selectable({ 'status.replicas': set => set.status?.replicas ?? 0 }),
  'batch/jobs': selectable({ 'status.successful': job => job.status?.succeeded ?? 0 }),
  'certificates.k8s.io/certificatesigningrequests': selectable({
    'spec.signerName': request => request.spec?.signerName,
  }),
  'core/events': selectable({
    'involvedObject.kind': event => event.involvedObject?.kind,
    'involvedObject.namespace': event => event.involvedObject?.namespace,
    'involvedObject.name': event => event.involvedObject?.name,
    'involvedObject.uid': event => event.involvedObject?.uid,
    'involvedObject.apiVersion': event => event.involvedObject?.apiVersion,
    'involvedObject.resourceVersion': event => event.involvedObject?.resourceVersion,
    'involvedObject.fieldPath': event => event.involvedObject?.fieldPath,
    reason: event => event.reason,
    reportingComponent: event => event.reportingComponent,
    source: event => event.source?.component || event.reportingComponent,
    type: event => event.type,
  }),
};

export function selectableFieldsOf(id: ResourceId): SelectableFields {
  return byResource[id] ?? metadataOnly;
}

const byKind = new WeakMap<Kind, SelectableFields>();

/** Those of the resource, or those that the kind itself names. */
export function selectableFieldsFor(kind: Kind): SelectableFields {
  if (kind.selectableFields === undefined) return selectableFieldsOf(resourceIdOf(kind));
  let fields = byKind.get(kind);
  if (fields === undefined) {
    fields = selectable(kind.selectableFields);
    byKind.set(kind, fields);
  }
  return fields;
}

/** @throws StatusError BadRequest for a text that cannot be parsed and for a field that the resource does not offer. */
export function fieldSelectorFor({ extra }: SelectableFields, text: string): FieldSelector {
  const selector = parseFieldSelector(text);
  for (const { field } of selector.requirements) {
    if (field === 'metadata.name' || field === 'metadata.namespace' || extra.has(field)) continue;
    throw badRequest(
      extra.size === 0
        ? `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${field}; this resource can be selected by metadata.name, metadata.namespace, ${[...extra].join(', ')}`,
    );
  }
  return selector;
}
