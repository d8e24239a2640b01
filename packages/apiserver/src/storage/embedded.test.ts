import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { manualClock } from '@orbitkit/core';
import { describe, it } from 'vitest';
import { storeConformance } from './conformance/index.js';
import { embeddedStore } from './embedded.js';

const watchQueueBytes = 64 * 1024;

storeConformance(
  {
    name: 'embedded',
    durable: true,
    watchQueueBytes,
    async create() {
      const dir = await fs.mkdtemp(path.join(os.tmpdir(), 'orbitkit-store-'));
      const clock = manualClock();
      return {
        open: embeddedStore({ dir, clock, watchQueueBytes, segmentBytes: 4096, snapshotBytes: 8192 }),
        elapse: ms => clock.advance(ms),
        dispose: () => fs.rm(dir, { recursive: true }),
      };
    },
  },
  { describe, it },
);
