/** A thousand watches one after the other, over real sockets: what one leaves behind would be there a thousand times. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { FaultyServer } from './testing/faults/faulty-server.js';
import { orbitkitSubject } from './testing/faults/orbitkit-subject.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error('not within 60 s');
    await new Promise(resolve => setImmediate(resolve));
  }
}

it.each([
  ['typed', {}],
  ['lazy', { lazy: true }],
])(
  '1,000 reconnects (%s) leave no connection, timer or memory behind',
  async (_name, options) => {
    const server = new FaultyServer();
    await server.listen();
    for (let i = 0; i < 20; i++) server.put(`object-${i}`, 'x'.repeat(1_000));
    let last = '';
    const subject = await orbitkitSubject(options)({
      server: server.url,
      manner: 'reports',
      report: told => {
        last = told.value;
      },
      reportSlow: () => {},
    });
    const reconnect = async (times: number) => {
      for (let i = 0; i < times; i++) {
        await until(() => server.watches.size > 0);
        const value = `${i} ${'y'.repeat(1_000)}`;
        server.put(`object-${i % 20}`, value);
        await until(() => last === value);
        server.endWatches('end');
      }
      await until(() => server.watches.size > 0);
      server.forget();
      // A heap is measured when the finalizers of one collection have run.
      for (let i = 0; i < 3; i++) {
        collectGarbage();
        await new Promise(resolve => setImmediate(resolve));
      }
      const resources = process.getActiveResourcesInfo();
      return {
        sockets: server.sockets.size,
        timers: resources.filter(name => name === 'Timeout').length,
        heap: process.memoryUsage().heapUsed,
        external: process.memoryUsage().external,
      };
    };
    try {
      const before = await reconnect(200);
      const after = await reconnect(1_000);
      expect(after.sockets).toBeLessThanOrEqual(before.sockets + 1);
      expect(after.sockets).toBeLessThanOrEqual(3);
      expect(after.timers).toBeLessThanOrEqual(before.timers + 2);
      // 1 KB a reconnect would be 1 MB.
      expect(after.heap - before.heap).toBeLessThan(1_000_000);
      expect(after.external - before.external).toBeLessThan(1_000_000);
    } finally {
      await subject.stop();
      await server.close();
    }
  },
  180_000,
);
