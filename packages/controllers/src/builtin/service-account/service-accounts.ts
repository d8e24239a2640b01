/** Makes sure that every namespace in use has its service accounts, at first `default`, under which pods run that name none. */
import { isAlreadyExists, isDeleting, isNotFound, keyOf, Namespace, ServiceAccount } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controllerQueue, type ReconcileResult, reconcileLoop } from '../../reconcile-loop.js';
import { isNamespaceTerminating } from '../../refusals.js';

/** Which accounts every namespace has. */
export interface ServiceAccountsOptions {
  /** Names of the accounts. Default `default` alone. */
  names?: readonly string[];
}

const name = 'service-account-controller';

/** The controller of the accounts that every namespace has. */
export function serviceAccounts({ names = ['default'] }: ServiceAccountsOptions = {}): Controller {
  return {
    name,
    async run(context) {
      const namespaces = context.informers.informer(Namespace);
      const accounts = context.informers.informer(ServiceAccount);
      const queue = controllerQueue(context, name);
      const registrations = [
        namespaces.addHandler({
          onAdd: namespace => queue.add(keyOf(namespace)),
          onUpdate: (_, namespace) => queue.add(keyOf(namespace)),
        }),
        accounts.addHandler({ onDelete: account => queue.add(account.metadata.namespace) }),
      ];
      const reconcile = async (namespace: string): Promise<ReconcileResult> => {
        const object = namespaces.store.get(namespace);
        if (!object || isDeleting(object) || object.status.phase === 'Terminating') return;
        for (const account of names) {
          if (accounts.store.has({ namespace, name: account })) continue;
          await context.client
            .create(ServiceAccount, { metadata: { name: account, namespace } })
            .catch((error: unknown) => {
              // There already, or the namespace is on its way out.
              if (!isAlreadyExists(error) && !isNotFound(error) && !isNamespaceTerminating(error)) throw error;
            });
        }
      };
      await reconcileLoop(context, { name, queue, informers: [namespaces, accounts], reconcile }, registrations);
    },
  };
}
