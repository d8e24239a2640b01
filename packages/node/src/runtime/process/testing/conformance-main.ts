/**
 * The conformance suite as a program, under Node's own test runner: for the users and network namespaces in which vitest
 * cannot run. Arguments: one JSON object, `ConformanceArguments`.
 */
import { after, before, describe, it } from 'node:test';
import { runtimeConformance, type TestRunner } from '../../conformance/index.js';
import type { Capability } from '../../contract.js';
import { rootClauses } from './root-clauses.js';
import { processSubject, processWorkloads } from './subject.js';
import { survivalClauses } from './survival.js';

export interface ConformanceArguments {
  mode: 'rootless' | 'root';
  programDirectory: string;
  podCIDR: string;
  capabilities: Capability[];
}

const { mode, programDirectory, podCIDR, capabilities } = JSON.parse(process.argv[2] ?? '{}') as ConformanceArguments;

const runner: TestRunner = {
  describe: (name, body) => void describe(name, body),
  it: (name, body, timeout) => void it(name, timeout ? { timeout } : {}, body),
  beforeAll: (body, timeout) => before(body, timeout ? { timeout } : {}),
  afterAll: (body, timeout) => after(body, timeout ? { timeout } : {}),
};

runtimeConformance(
  {
    name: `process, ${mode} mode`,
    workloads: processWorkloads,
    capabilities,
    create: () => processSubject({ mode, programDirectory, podCIDR }),
  },
  runner,
);
survivalClauses({ mode, programDirectory, podCIDR }, runner);
if (mode === 'root') rootClauses({ programDirectory, podCIDR }, runner);
