/**
 * Real kubectl through every everyday verb, against `orbit up` with nodes that run pods. `npm test` takes one version and leaves out what
 * takes long; `ORBITKIT_TOURS=full` (the long run) takes them all, and every step.
 *
 * The versions differ in what they send: 1.27 OpenAPI v2 and SPDY; 1.30 discovery v2 and WebSockets; 1.33 protobuf bodies and tunnelled
 * port-forwards; 1.35 watches that begin with what is there.
 */
import { afterAll, beforeAll, describe, it } from 'vitest';
import { startCluster, type TestCluster } from '../cluster.js';
import { kubectlPath } from './clients.js';
import { access } from './steps/access.js';
import { apply } from './steps/apply.js';
import { change } from './steps/change.js';
import { create } from './steps/create.js';
import { custom } from './steps/custom.js';
import { remove } from './steps/delete.js';
import { get } from './steps/get.js';
import { logs } from './steps/logs.js';
import { nodes } from './steps/nodes.js';
import { pods } from './steps/pods.js';
import { rollout } from './steps/rollout.js';
import { server } from './steps/server.js';
import { terminal } from './steps/terminal.js';
import { Tour } from './tour.js';

const chapters = [server, get, create, apply, change, rollout, pods, logs, terminal, nodes, remove, access, custom];
const full = process.env['ORBITKIT_TOURS'] === 'full';
const minors = process.env['ORBITKIT_TOUR_MINORS']?.split(',').map(Number) ?? (full ? [27, 30, 33, 35] : [33]);

describe.each(minors)('kubectl 1.%i', minor => {
  const binary = kubectlPath(minor);
  if (!binary) {
    it.skip(`needs kubectl 1.${minor}: cd ci && npm ci`, () => {});
    return;
  }
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster();
  });
  afterAll(() => cluster?.stop(), 90_000);

  describe.each(chapters)('$name', chapter => {
    let tour: Tour;
    beforeAll(async () => {
      tour = new Tour(cluster, binary, minor, chapter.name);
      await tour.ok(`create namespace ${chapter.name}`);
    });
    for (const { title, from = 0, slow, run } of chapter.steps)
      it.skipIf(minor < from || (slow && !full))(title, () => run(tour), slow ? 300_000 : 90_000);
  });
});
