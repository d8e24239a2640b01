/** The fault matrix against this package's informer: what the table of the README says of it. Over real sockets and in real time, all at once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { orbitkitSubject } from './testing/faults/orbitkit-subject.js';
import { runScenario, scenarios } from './testing/faults/scenarios.js';

const problems: string[] = [];
const note = (reason: unknown) => problems.push(`unhandled rejection: ${String(reason)}`);
beforeAll(() => void process.on('unhandledRejection', note));
afterAll(() => void process.off('unhandledRejection', note));

const manners = [
  ['lists as streams', { streamingList: true }],
  ['lists in pages', { streamingList: false, pageSize: 1 }],
  ['lazily', { streamingList: true, lazy: true }],
] as const;

describe.concurrent.each(manners)('the informer survives, %s', (_manner, options) => {
  it.each(scenarios.map(scenario => [scenario.name, scenario] as const))(
    '%s',
    async (_name, scenario) => {
      const subject = orbitkitSubject({ ...options, quietMs: 1_000 });
      // A machine that others use is slow at times; a dead informer stays dead.
      const outcome = await runScenario(scenario, subject, { problems, patienceScale: 3 });
      expect(outcome).toMatchObject({ passed: true });
    },
    300_000,
  );
});
