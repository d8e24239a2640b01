import { expect, it } from 'vitest';
import type { PodState } from '../pod-worker/pod-state.js';
import type { ContainerStatus } from '../runtime/contract.js';
import { mayStillWrite } from './pod-target.js';

const container = (state: ContainerStatus['state'], id = 'c') => ({ id, state }) as ContainerStatus;
const looked = (...containers: ContainerStatus[]): PodState => ({ sandboxes: [], containers });

it.each<[string, ContainerStatus['state'], (PodState | undefined)[], boolean[]]>([
  ['runs, then ends', 'running', [looked(container('running')), looked(container('exited'))], [true, false]],
  [
    'runs, while its worker has looked before it was there, or before it was started',
    'running',
    [looked(), looked(container('created')), looked(container('running')), looked(container('exited'))],
    [true, true, true, false],
  ],
  ['was seen, and is there no more', 'running', [looked(container('running')), looked()], [true, false]],
  ['had ended', 'exited', [looked(), looked(container('exited'))], [false, false]],
  ['is one of others', 'running', [looked(container('exited', 'other'))], [true]],
  ['belongs to a pod that is gone', 'running', [undefined], [false]],
])('a container that %s', (_what, state, states, answers) => {
  let at = 0;
  const check = mayStillWrite(container(state), () => states[at]);
  const told = states.map((_, index) => {
    at = index;
    return check();
  });
  expect(told).toEqual(answers);
});
