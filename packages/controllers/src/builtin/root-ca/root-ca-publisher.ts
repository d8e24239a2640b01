/**
 * Publishes the cluster's authority: a ConfigMap `kube-root-ca.crt` in every namespace, from which pods know the API server. What others
 * change is put back. Source: upstream `pkg/controller/certificates/rootcacertpublisher`.
 */
import { ConfigMap, isAlreadyExists, isConflict, isDeleting, isNotFound, keyOf, Namespace } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { isNamespaceTerminating } from '../../refusals.js';

/** What is published. */
export interface RootCAPublisherOptions {
  /** PEM of the authority (several in one text while it is being replaced). A function is asked when the controller starts. */
  certificateAuthority: string | (() => Promise<string> | string);
}

const name = 'root-ca-certificate-publisher-controller';
const configMapName = 'kube-root-ca.crt';
const description =
  'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.';

/** The controller of the ConfigMaps `kube-root-ca.crt`. */
export function rootCAPublisher({ certificateAuthority }: RootCAPublisherOptions): Controller {
  return {
    name,
    async run(context) {
      const authority = typeof certificateAuthority === 'string' ? certificateAuthority : await certificateAuthority();
      const namespaces = context.informers.informer(Namespace);
      const configMaps = context.informers.informer(ConfigMap);
      const queue = controllerQueue(context, name);
      const registrations = [
        namespaces.addHandler({
          onAdd: namespace => queue.add(keyOf(namespace)),
          onUpdate: (_, namespace) => queue.add(keyOf(namespace)),
        }),
        configMaps.addHandler({
          onUpdate: (_, { metadata }) => metadata.name === configMapName && queue.add(metadata.namespace),
          onDelete: ({ metadata }) => metadata.name === configMapName && queue.add(metadata.namespace),
        }),
      ];
      const data = { 'ca.crt': authority };
      const annotations = { 'kubernetes.io/description': description };
      const reconcile = async (namespace: string): Promise<ReconcileResult> => {
        const object = namespaces.store.get(namespace);
        if (!object || isDeleting(object) || object.status.phase === 'Terminating') return;
        const found = configMaps.store.get({ namespace, name: configMapName });
        if (!found) {
          await context.client
            .create(ConfigMap, { metadata: { name: configMapName, namespace, annotations }, data })
            .catch((error: unknown) => {
              // There already, or the namespace is on its way out.
              if (!isAlreadyExists(error) && !isNotFound(error) && !isNamespaceTerminating(error)) throw error;
            });
          return;
        }
        const only = Object.keys(found.data ?? {}).length === 1 && !found.binaryData;
        if (only && found.data?.['ca.crt'] === authority) return;
        await context.client
          .update(ConfigMap, {
            apiVersion: 'v1',
            kind: 'ConfigMap',
            metadata: {
              name: configMapName,
              namespace,
              resourceVersion: found.metadata.resourceVersion,
              annotations: { ...found.metadata.annotations, ...annotations },
            },
            data,
          } as unknown as ConfigMap)
          .catch((error: unknown) => {
            if (!isConflict(error) && !isNotFound(error)) throw error;
          });
      };
      await reconcileLoop(context, { name, queue, informers: [namespaces, configMaps], reconcile }, registrations);
    },
  };
}
