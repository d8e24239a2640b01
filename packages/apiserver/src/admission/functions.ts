/**
 * Plugins out of functions, for one's own rules:
 *
 *     admission: [
 *       ...defaultAdmission(),
 *       mutate('team-label', Pod, pod => { pod.metadata.labels = { team: 'none', ...pod.metadata.labels }; }),
 *       validate('no-latest', Pod, pod => pod.spec.containers.some(each => each.image?.endsWith(':latest')) && 'name a version of the image'),
 *     ]
 *
 * They are asked on creates and updates of the object itself, not of its subresources.
 */
import { type KubeObject, type ResourceRef, StatusError } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';

const concerns = (ref: ResourceRef<any>, { kind, subresource, operation }: AdmissionRequest): boolean =>
  operation !== 'DELETE' && subresource === undefined && kind.group === ref.group && kind.plural === ref.plural;

/** @param change Changes the object in place, or answers another in its place. */
export function mutate<T extends KubeObject>(
  name: string,
  kind: ResourceRef<T>,
  change: (object: T, request: AdmissionRequest, cluster: AdmissionCluster) => T | void | Promise<T | void>,
): AdmissionPlugin {
  return {
    name,
    async admit(request, cluster) {
      if (!concerns(kind, request)) return;
      const changed = await change(request.object as unknown as T, request, cluster);
      if (changed !== undefined && (changed as unknown) !== request.object) replaceObject(request, changed);
    },
  };
}

/** @param problem What is wrong with the object; nothing or false when it is in order. */
export function validate<T extends KubeObject>(
  name: string,
  kind: ResourceRef<T>,
  problem: (
    object: Readonly<T>,
    old: Readonly<T> | undefined,
    request: AdmissionRequest,
    cluster: AdmissionCluster,
  ) => string | false | undefined | Promise<string | false | undefined>,
): AdmissionPlugin {
  return {
    name,
    async validate(request, cluster) {
      if (!concerns(kind, request)) return;
      const old = request.oldObject as unknown as T | undefined;
      const text = await problem(request.object as unknown as T, old, request, cluster);
      if (text) throw refused(request, text);
    },
  };
}

/** `pods "web" is forbidden: …` */
export function refused({ kind, name }: Pick<AdmissionRequest, 'kind' | 'name'>, text: string): StatusError {
  const resource = kind.group ? `${kind.plural}.${kind.group}` : kind.plural;
  return new StatusError('Forbidden', `${resource} ${JSON.stringify(name)} is forbidden: ${text}`, {
    details: { name, ...(kind.group ? { group: kind.group } : {}), kind: kind.plural },
  });
}

/** Puts another object in the place of the one that is written. */
export function replaceObject({ object }: AdmissionRequest, next: object): void {
  const target = object as Record<string, unknown>;
  for (const name of Object.keys(target)) if (!Object.hasOwn(next, name)) delete target[name];
  Object.assign(target, next);
}
