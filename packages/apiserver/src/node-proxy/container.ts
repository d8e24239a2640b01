/** Which container of a pod a request means. Texts as kube-apiserver's, which clients show as they are. */
import { badRequest, type DynamicObject } from '@orbitkit/core';

const defaultContainerAnnotation = 'kubectl.kubernetes.io/default-container';

/** @throws StatusError BadRequest when there is no such container, or several and none is named. */
export function containerOf(pod: DynamicObject, asked: string | undefined): string {
  const names = (field: string): string[] =>
    (pod['spec']?.[field] ?? []).map((container: { name: string }) => container.name);
  const containers = names('containers');
  const all = [...containers, ...names('initContainers'), ...names('ephemeralContainers')];
  if (asked !== undefined) {
    if (!all.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
    return asked;
  }
  const chosen = pod.metadata.annotations?.[defaultContainerAnnotation];
  if (chosen !== undefined && containers.includes(chosen)) return chosen;
  if (containers.length === 1) return containers[0]!;
  throw badRequest(
    `a container name must be specified for pod ${pod.metadata.name}, choose one of: [${all.join(' ')}]`,
  );
}
