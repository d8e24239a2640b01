/** Finds the pod that a word means: a pod's name, `pod/web`, or a workload whose first running pod is taken. */
import { isDeleting, Pod } from '@orbitkit/core';
import { keyIn, kindOf, objectName, type Session } from './session.js';
import { CommandError } from './terminal.js';

export async function findPod(session: Session, word: string): Promise<Pod> {
  const slash = word.indexOf('/');
  const kind = slash < 0 ? undefined : kindOf(session, word.slice(0, slash));
  if (!kind || kind.kind === 'Pod')
    return session.client.get(Pod, { namespace: session.namespace, name: word.slice(slash + 1) });
  const name = word.slice(slash + 1);
  const owner = await session.client.get(kind, keyIn(session, kind, name));
  const selector: Record<string, string> | undefined = owner.spec?.selector?.matchLabels ?? owner.spec?.selector;
  if (!selector || typeof selector !== 'object' || Object.values(selector).some(value => typeof value !== 'string')) {
    throw new CommandError(`${objectName(kind, name)} does not select pods by labels`);
  }
  const labelSelector = Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const pods = (await session.client.list(Pod, { namespace: session.namespace, labelSelector })).items.filter(
    pod => !isDeleting(pod),
  );
  const pod = pods.find(each => each.status.phase === 'Running') ?? pods[0];
  if (!pod) throw new CommandError(`${objectName(kind, name)} has no pods`);
  return pod;
}

/** The container asked for, or the only (else the first) one. @throws CommandError naming those that there are. */
export function containerOf(pod: Pod, wanted: string | undefined, say: (text: string) => void): string {
  const names = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(container => container.name);
  if (wanted !== undefined) {
    if (!names.includes(wanted))
      throw new CommandError(`pod ${pod.metadata.name} has no container "${wanted}"; there are: ${names.join(', ')}`);
    return wanted;
  }
  const first = pod.metadata.annotations?.['kubectl.kubernetes.io/default-container'] ?? pod.spec.containers[0]!.name;
  if (pod.spec.containers.length > 1) say(`Defaulted container "${first}" out of: ${names.join(', ')}\n`);
  return first;
}
