/**
 * The parts from which the columns of a kind are put together. Names, types and cell rules of the built-in kinds follow
 * data/printer-columns.json, which columns.test.ts compares.
 */
import { formatLabelSelector } from '../../meta/label-selector.js';
import type { KubeObject, LabelSelector, ObjectMeta } from '../../meta/object.js';
import type { corev1 } from '../generated/types/index.js';
import { ageOf } from '../human-duration.js';
import type { Column } from '../kind.js';

type Cell<T> = Column<T>['cell'];
interface ColumnOptions {
  type?: Column['type'];
  format?: string;
  /** Shown with wide output only. */
  wide?: boolean;
}

export function column<T>(name: string, description: string, cell: Cell<T>, options: ColumnOptions = {}): Column<T> {
  return {
    name,
    type: options.type ?? 'string',
    format: options.format ?? '',
    description,
    priority: options.wide ? 1 : 0,
    cell,
  };
}

interface Named {
  metadata: Pick<ObjectMeta, 'name' | 'creationTimestamp'>;
}

export const nameColumn: Column<any> = column<Named>(
  'Name',
  'Name of the object.',
  ({ metadata }) => metadata.name ?? '',
  { format: 'name' },
);

export const ageColumn: Column<any> = column<Named>('Age', 'Time since the object was created.', ({ metadata }, now) =>
  ageOf(metadata.creationTimestamp, now),
);

/** What kinds without columns of their own show. */
export const defaultColumns: readonly Column<any>[] = Object.freeze([
  nameColumn,
  column<Named>('Created At', 'When the object was created.', ({ metadata }) => metadata.creationTimestamp ?? null, {
    type: 'date',
  }),
]);

/** What kinds of one's own show when they define no columns. */
export const customDefaultColumns: readonly Column<any>[] = Object.freeze([
  nameColumn,
  column<Named>('Age', 'When the object was created.', ({ metadata }, now) => ageOf(metadata.creationTimestamp, now), {
    type: 'date',
  }),
]);

export const none = '<none>';

/** `a=1,b=2` in order of key. */
export function pairs(labels: Readonly<Record<string, string>> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? none : keys.map(key => `${key}=${labels![key]}`).join(',');
}

/** The object form as a query; `invalid` when it cannot be read. */
export function selectorText(selector: LabelSelector | undefined, texts: { empty: string; invalid: string }): string {
  if (!selector) return texts.empty;
  try {
    return formatLabelSelector(selector) || texts.empty;
  } catch {
    return texts.invalid;
  }
}

/** The first three, then how many more: ` + 2 more...`. */
export function firstThree(items: readonly string[]): string {
  return items.length <= 3 ? items.join(',') : `${items.slice(0, 3).join(',')} + ${items.length - 3} more...`;
}

type WithTemplate = { spec: { template?: corev1.PodTemplateSpec } };
const containersOf = (object: WithTemplate): readonly corev1.Container[] =>
  object.spec?.template?.spec?.containers ?? [];

export const containersColumn: Column<any> = column<WithTemplate>(
  'Containers',
  'Names of the containers in the pod template.',
  object =>
    containersOf(object)
      .map(container => container.name)
      .join(','),
  { wide: true },
);

export const imagesColumn: Column<any> = column<WithTemplate>(
  'Images',
  'Images of the containers in the pod template.',
  object =>
    containersOf(object)
      .map(container => container.image ?? '')
      .join(','),
  { wide: true },
);

/** The owner that controls the object, as `deployment.apps/web`. */
export function controllerText({ metadata }: { metadata: Pick<ObjectMeta, 'ownerReferences'> }): string {
  const owner = metadata.ownerReferences?.find(({ controller }) => controller);
  if (!owner) return none;
  const slash = owner.apiVersion.indexOf('/');
  return `${owner.kind.toLowerCase()}${slash < 0 ? '' : `.${owner.apiVersion.slice(0, slash)}`}/${owner.name}`;
}

/** Columns of what an object is stored as. */
export function storedColumns<T extends KubeObject>(
  columns: readonly Column<any>[],
  toStorage: (object: T) => KubeObject,
): readonly Column<T>[] {
  const stored = new WeakMap<T, KubeObject>();
  return columns.map(each => ({
    ...each,
    cell(object: T, now: number) {
      let converted = stored.get(object);
      if (!converted) {
        converted = toStorage({
          ...object,
          metadata: { ...object.metadata, annotations: { ...object.metadata.annotations } },
        });
        stored.set(object, converted);
      }
      return each.cell(converted, now);
    },
  }));
}
