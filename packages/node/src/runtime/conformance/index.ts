/**
 * The conformance suite of the runtime contract: every clause of `Runtime`, and every capability as present or as absent.
 *
 * It runs under any runner shaped like vitest's, which the caller hands in, and against any runtime whose author gives a
 * factory and a few programs:
 *
 *     runtimeConformance({ name: 'mine', create, workloads: shellWorkloads({ … }), capabilities: ['attach'] }, vitest);
 *
 * Each clause makes its own pods and removes them. `Subject.cleanup` runs last and should throw when anything is left.
 */
import type { Capability } from '../contract.js';
import { adoptionClauses } from './adoption.js';
import { capabilityClauses } from './capabilities.js';
import { Laboratory } from './laboratory.js';
import { type Clause, containerClauses, imageClauses, sandboxClauses } from './lifecycle.js';
import { attachClauses, execClauses, logClauses, observationClauses, portForwardClauses } from './streams.js';
import type { ConformanceOptions, Subject, TestRunner } from './subject.js';

export { type ShellWorkloadOptions, shellWorkloads } from './shell-workloads.js';
export type { ConformanceOptions, Subject, TestRunner, Workload, Workloads } from './subject.js';

const clauseMs = 40_000;

/** Declares the suite with this runner; the tests run when the runner runs them. */
export function runtimeConformance(options: ConformanceOptions, runner: TestRunner): void {
  const { workloads } = options;
  const capabilities: ReadonlySet<Capability> = new Set(options.capabilities);

  runner.describe(`runtime conformance: ${options.name}`, () => {
    let subject: Subject | undefined;
    runner.beforeAll(async () => {
      subject = await options.create();
    }, 60_000);
    runner.afterAll(async () => {
      await subject?.cleanup();
    }, 60_000);

    const clause: Clause = (name, body, timeoutMs = clauseMs) =>
      runner.it(
        name,
        async () => {
          if (!subject) throw new Error('the runtime was not made');
          const laboratory = new Laboratory(subject);
          try {
            await body(laboratory);
          } finally {
            await laboratory[Symbol.asyncDispose]();
          }
        },
        timeoutMs,
      );

    runner.describe('sandboxes', () => sandboxClauses(clause, workloads));
    runner.describe('containers', () => containerClauses(clause, workloads));
    runner.describe('images', () => imageClauses(clause, workloads));
    runner.describe('logs', () => logClauses(clause, workloads));
    runner.describe('exec', () => execClauses(clause, workloads));
    if (capabilities.has('attach')) runner.describe('attach', () => attachClauses(clause, workloads));
    if (capabilities.has('port-forward'))
      runner.describe('port-forward', () => portForwardClauses(clause, workloads, capabilities));
    runner.describe('events and statistics', () => observationClauses(clause, workloads));
    runner.describe('adoption', () => adoptionClauses(clause, workloads));
    runner.describe('capabilities', () => capabilityClauses(clause, workloads, capabilities));
  });
}
