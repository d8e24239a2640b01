/** Clauses about a restarted agent: what ran goes on, what ended meanwhile is known. */
import assert from 'node:assert/strict';
import { Laboratory } from './laboratory.js';
import type { Clause } from './lifecycle.js';
import type { Workloads } from './subject.js';

export function adoptionClauses(clause: Clause, workloads: Workloads): void {
  clause('close lets go: another runtime object finds everything as it was, and can end it', async lab => {
    const { sandbox, id } = await lab.pod(workloads.prints('before\n', ''), { labels: { role: 'kept' } });
    await lab.log(id, text => text.includes('before'));
    const before = await lab.runtime.containerStatus(id);
    const first = await lab.subject.reopen();
    await first.close();
    await first.close();
    const second = new Laboratory(lab.subject, await lab.subject.reopen());
    try {
      assert.deepEqual(await second.runtime.containerStatus(id), before);
      const listed = (await second.runtime.listSandboxes()).find(other => other.id === sandbox.id);
      assert.deepEqual(listed, sandbox);
      assert.equal((await second.exec(id, workloads.exec.exits(5))).code, 5);
      await second.runtime.stopContainer(id, 10_000);
      assert.equal((await second.runtime.containerStatus(id)).state, 'exited');
    } finally {
      await second.runtime.close();
    }
  });

  clause('a container that ended while nobody looked has its exit code', async lab => {
    const { id } = await lab.pod(workloads.exits(42));
    const other = await lab.subject.reopen();
    try {
      const again = new Laboratory(lab.subject, other);
      const status = await again.exited(id);
      assert.equal(status.exitCode, 42);
    } finally {
      await other.close();
    }
  });
}
