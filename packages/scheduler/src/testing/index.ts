/** @orbitkit/scheduler/testing: nodes and pods from a few words, and tests of policies. */
export { avoids, boundTo, type NodeOptions, type PodOptions, testNode, testPod } from './fixtures.js';
export { type PolicyTest, type PolicyTestOptions, policyTest, problemsOf } from './policy-test.js';
