import { manualClock } from '@orbitkit/core';
import { describe, it } from 'vitest';
import { storeConformance } from './conformance/index.js';
import { memoryStore } from './memory.js';

const watchQueueBytes = 64 * 1024;

storeConformance(
  {
    name: 'memory',
    durable: false,
    watchQueueBytes,
    async create() {
      const clock = manualClock();
      return { open: memoryStore({ clock, watchQueueBytes }), elapse: ms => clock.advance(ms) };
    },
  },
  { describe, it },
);
