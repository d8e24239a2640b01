import { describe, it } from 'vitest';
import { storeConformance } from '../conformance/index.js';
import { etcdStore } from './index.js';
import { hasEtcd, startEtcd } from './testing/etcd-process.js';

describe.skipIf(!hasEtcd)('over a real etcd (apt-get install etcd-server etcd-client)', () => {
  storeConformance(
    {
      name: 'etcd',
      durable: true,
      ownWrites: true,
      watchQueueBytes: 64 * 1024,
      async create() {
        const etcd = await startEtcd();
        return {
          open: etcdStore({ hosts: etcd.urls, watchQueueBytes: 64 * 1024, markAfterMs: 60_000 }),
          dispose: () => etcd.dispose(),
        };
      },
    },
    { describe, it },
  );
});
