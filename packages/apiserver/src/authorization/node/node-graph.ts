/**
 * Which node may see what: from a node over the pods bound to it to their Secrets, ConfigMaps, claims (and the volumes and secrets
 * behind those) and service accounts. It follows the watch cache change by change; a question is one or two look-ups.
 *
 * A mirror pod (made by an agent of its own manifest) leads to nothing: an agent cannot let itself in.
 * Source: upstream `plugin/pkg/auth/authorizer/node/graph.go`.
 */
import type { corev1 } from '@orbitkit/core';
import type { WatchCache } from '../../registry/watch-cache.js';

export type GraphResource =
  | 'secrets'
  | 'configmaps'
  | 'persistentvolumeclaims'
  | 'persistentvolumes'
  | 'serviceaccounts'
  | 'pods';

/** `secrets/ns/name`; cluster-scoped: `persistentvolumes/name`. */
const vertex = (resource: GraphResource, ...path: string[]): string => `${resource}/${path.join('/')}`;

const mirrorAnnotation = 'kubernetes.io/config.mirror';

interface PodEdges {
  readonly node: string;
  readonly vertices: readonly string[];
}

interface VolumeEdges {
  /** `ns/name` of the claim that the volume is bound to. */
  readonly claim: string;
  readonly secrets: readonly string[];
}

export class NodeGraph {
  readonly #pods = new Map<string, PodEdges>();
  /** How many pods of a node lead to a vertex. */
  readonly #reached = new Map<string, Map<string, number>>();
  readonly #volumes = new Map<string, VolumeEdges>();
  /** Secrets of volumes: the volumes that name them. */
  readonly #volumesOfSecret = new Map<string, Set<string>>();
  readonly #attachments = new Map<string, string>();

  /** Whether a pod that is bound to the node leads to this object. */
  reaches(node: string, resource: GraphResource, namespace: string | undefined, name: string): boolean {
    const path = namespace === undefined ? name : `${namespace}/${name}`;
    if (this.#reached.get(vertex(resource, path))?.has(node)) return true;
    if (resource === 'persistentvolumes') {
      const claim = this.#volumes.get(name)?.claim;
      return claim !== undefined && this.#reached.get(vertex('persistentvolumeclaims', claim))?.has(node) === true;
    }
    if (resource !== 'secrets') return false;
    for (const volume of this.#volumesOfSecret.get(path) ?? [])
      if (this.reaches(node, 'persistentvolumes', undefined, volume)) return true;
    return false;
  }

  /** Whether the VolumeAttachment is this node's. */
  attachedTo(node: string, attachment: string): boolean {
    return this.#attachments.get(attachment) === node;
  }

  #setPod(path: string, pod: corev1.Pod | undefined): void {
    const before = this.#pods.get(path);
    const after = pod?.spec.nodeName ? edgesOf(path, pod, pod.spec.nodeName) : undefined;
    if (after !== undefined) for (const each of after.vertices) this.#count(each, after.node, 1);
    if (before !== undefined) for (const each of before.vertices) this.#count(each, before.node, -1);
    if (after === undefined) this.#pods.delete(path);
    else this.#pods.set(path, after);
  }

  #count(key: string, node: string, by: 1 | -1): void {
    let nodes = this.#reached.get(key);
    if (nodes === undefined) {
      nodes = new Map();
      this.#reached.set(key, nodes);
    }
    const count = (nodes.get(node) ?? 0) + by;
    if (count > 0) nodes.set(node, count);
    else nodes.delete(node);
    if (nodes.size === 0) this.#reached.delete(key);
  }

  #setVolume(name: string, volume: corev1.PersistentVolume | undefined): void {
    for (const secret of this.#volumes.get(name)?.secrets ?? []) {
      const volumes = this.#volumesOfSecret.get(secret);
      volumes?.delete(name);
      if (volumes?.size === 0) this.#volumesOfSecret.delete(secret);
    }
    this.#volumes.delete(name);
    const claim = volume?.spec.claimRef;
    if (volume === undefined || !claim?.name) return;
    const secrets = volumeSecrets(volume, claim.namespace ?? '');
    this.#volumes.set(name, { claim: `${claim.namespace}/${claim.name}`, secrets });
    for (const secret of secrets) {
      const volumes = this.#volumesOfSecret.get(secret) ?? new Set();
      this.#volumesOfSecret.set(secret, volumes.add(name));
    }
  }

  /** Follows the cache from now on. Answers the end of it. */
  follow(cache: WatchCache): () => void {
    const ends = [
      cache.observe('core/pods', {
        changed: (path, object) => this.#setPod(path, object?.object() as unknown as corev1.Pod | undefined),
        reset: () => {
          this.#pods.clear();
          this.#reached.clear();
        },
      }),
      cache.observe('core/persistentvolumes', {
        changed: (path, object) =>
          this.#setVolume(path, object?.object() as unknown as corev1.PersistentVolume | undefined),
        reset: () => {
          this.#volumes.clear();
          this.#volumesOfSecret.clear();
        },
      }),
      cache.observe('storage.k8s.io/volumeattachments', {
        changed: (path, object) => {
          const node = (object?.object()['spec'] as { nodeName?: string } | undefined)?.nodeName;
          if (node === undefined) this.#attachments.delete(path);
          else this.#attachments.set(path, node);
        },
        reset: () => this.#attachments.clear(),
      }),
    ];
    return () => {
      for (const end of ends) end();
    };
  }
}

function edgesOf(path: string, pod: corev1.Pod, node: string): PodEdges {
  const own = [vertex('pods', path)];
  if (pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return { node, vertices: own };
  return { node, vertices: [...new Set([...own, ...referredTo(pod)])] };
}

/** Everything that a pod names: in volumes, variables, image pull secrets. */
function* referredTo({ metadata: { namespace, name }, spec }: corev1.Pod): Generator<string> {
  const at = (resource: GraphResource, of: string | undefined): string[] =>
    of ? [vertex(resource, namespace, of)] : [];
  yield* at('serviceaccounts', spec.serviceAccountName);
  for (const secret of spec.imagePullSecrets ?? []) yield* at('secrets', secret.name);
  for (const container of [...(spec.initContainers ?? []), ...spec.containers, ...(spec.ephemeralContainers ?? [])]) {
    for (const { valueFrom } of container.env ?? []) {
      yield* at('secrets', valueFrom?.secretKeyRef?.name);
      yield* at('configmaps', valueFrom?.configMapKeyRef?.name);
    }
    for (const { secretRef, configMapRef } of container.envFrom ?? []) {
      yield* at('secrets', secretRef?.name);
      yield* at('configmaps', configMapRef?.name);
    }
  }
  for (const volume of spec.volumes ?? []) {
    yield* at('secrets', volume.secret?.secretName);
    yield* at('configmaps', volume.configMap?.name);
    for (const source of volume.projected?.sources ?? []) {
      yield* at('secrets', source.secret?.name);
      yield* at('configmaps', source.configMap?.name);
    }
    yield* at('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName);
    if (volume.ephemeral) yield* at('persistentvolumeclaims', `${name}-${volume.name}`);
    const { cephfs, flexVolume, iscsi, rbd, scaleIO, storageos } = volume;
    for (const source of [cephfs, flexVolume, iscsi, rbd, scaleIO, storageos])
      yield* at('secrets', source?.secretRef?.name);
    yield* at('secrets', volume.azureFile?.secretName);
    yield* at('secrets', volume.csi?.nodePublishSecretRef?.name);
  }
}

/** `ns/name` of the secrets that a volume names. */
function volumeSecrets({ spec }: corev1.PersistentVolume, claimNamespace: string): string[] {
  const { csi, azureFile, cephfs, flexVolume, iscsi, rbd, scaleIO } = spec;
  const named = [
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.nodeExpandSecretRef,
    cephfs?.secretRef,
    flexVolume?.secretRef,
    iscsi?.secretRef,
    rbd?.secretRef,
    scaleIO?.secretRef,
    azureFile && { name: azureFile.secretName, namespace: azureFile.secretNamespace },
  ];
  return named.flatMap(ref => (ref?.name ? [`${ref.namespace || claimNamespace}/${ref.name}`] : []));
}
