/** This package's informer, as the fault matrix tries it. */
import { ConfigMap, createClient, httpTransport } from '@orbitkit/core';
import type { DeepReadonly } from '../../read-only.js';
import { type SharedInformerOptions, sharedInformer } from '../../shared-informer.js';
import { behave, type Subject, type Told } from './subject.js';

const told = (what: Told['what'], object: DeepReadonly<ConfigMap>): Told => ({
  what,
  name: object.metadata.name,
  value: object.data?.['value'] ?? '',
  uid: object.metadata.uid,
});

/** `quietMs` stands for the silence that a scenario cannot wait for. */
export function orbitkitSubject(
  options: Pick<SharedInformerOptions<ConfigMap>, 'lazy' | 'streamingList' | 'quietMs' | 'pageSize'>,
): Subject {
  return async ({ server, manner, report, reportSlow }) => {
    const client = createClient(httpTransport({ server, insecureSkipTlsVerify: true }));
    const informer = sharedInformer({ client, kind: ConfigMap, namespace: 'default', ...options });
    if (manner !== 'reports') {
      const bad = (change: Told) => behave(manner, change, reportSlow);
      informer.addHandler({
        onAdd: object => bad(told('add', object)),
        onUpdate: (_, object) => bad(told('update', object)),
        onDelete: object => bad(told('delete', object)),
      });
    }
    informer.addHandler({
      onAdd: object => report(told('add', object)),
      onUpdate: (_, object) => report(told('update', object)),
      onDelete: object => report(told('delete', object)),
    });
    const stop = new AbortController();
    const running = informer.run({ signal: stop.signal });
    return {
      async stop() {
        stop.abort();
        await running;
        await client.close();
      },
      // It says that it runs already.
      startAgain: () => informer.run({ signal: stop.signal }).catch(() => {}),
    };
  };
}
