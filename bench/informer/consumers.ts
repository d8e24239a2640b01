/** The informers that are compared. Each calls back for every object of the first list and for every later change, and keeps all of them. */
import { createRequire } from 'node:module';
import path from 'node:path';
import { createClient, httpTransport, Pod } from '@orbitkit/core';
import { sharedInformer } from '@orbitkit/informer';

export interface Heard {
  added(): void;
  changed(): void;
}
export interface Running {
  /** How many objects are in the cache. */
  size(): number;
}
/** Loads its code and makes one small request; what it returns starts the informer. */
type Consumer = (server: string, heard: Heard) => Promise<() => Running>;

const orbitkit =
  (options: { lazy: boolean; streamingList: boolean }): Consumer =>
  async (server, heard) => {
    const client = createClient(httpTransport({ server }));
    const informer = sharedInformer({ client, kind: Pod, ...options });
    informer.addHandler({ onAdd: heard.added, onUpdate: heard.changed });
    await client.list(Pod, { limit: 1 });
    return () => {
      void informer.run({ signal: new AbortController().signal });
      return { size: () => informer.store.size };
    };
  };

const clientNode: Consumer = async (server, heard) => {
  const k8s = createRequire(path.resolve('ci/package.json'))('@kubernetes/client-node');
  const config = new k8s.KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'fake', server, skipTLSVerify: true }],
    users: [{ name: 'nobody' }],
    contexts: [{ name: 'fake', cluster: 'fake', user: 'nobody' }],
    currentContext: 'fake',
  });
  const api = config.makeApiClient(k8s.CoreV1Api);
  const informer = k8s.makeInformer(config, '/api/v1/pods', () => api.listPodForAllNamespaces());
  informer.on('add', heard.added);
  informer.on('update', heard.changed);
  informer.on('error', (error: unknown) => {
    throw error;
  });
  await api.listPodForAllNamespaces({ limit: 1 });
  return () => {
    void informer.start();
    return { size: () => informer.list().length };
  };
};

export const consumers: Record<string, Consumer> = {
  'client-node 1.4': clientNode,
  'typed, streamed list': orbitkit({ lazy: false, streamingList: true }),
  'typed, pages of 500': orbitkit({ lazy: false, streamingList: false }),
  'lazy, streamed list': orbitkit({ lazy: true, streamingList: true }),
  'lazy, pages of 500': orbitkit({ lazy: true, streamingList: false }),
};
