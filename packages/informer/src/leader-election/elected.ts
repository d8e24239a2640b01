/**
 * A component of which only one runs at a time, however many processes have it: the others stand by. A standby is ready: it is what others
 * count on. What was running is stopped before the lease is given back.
 */
import type { Component } from '@orbitkit/core';
import { type LeaderElectionOptions, leaderElection } from './leader-election.js';

/** As of an election; client, clock, log and metrics come from the composition. */
export type ElectedOptions = Partial<Omit<LeaderElectionOptions, 'client' | 'clock' | 'log' | 'metrics'>>;

/** The lease has the component's name unless `name` says otherwise. */
export function elected(component: Component, options: ElectedOptions = {}): Component {
  return {
    name: component.name,
    ...(component.user ? { user: component.user } : {}),
    async run(context) {
      const { client, clock, log, metrics, signal } = context;
      const election = leaderElection({ name: component.name, ...options, client, clock, log, metrics });
      // Who leads says itself when it is ready.
      const standby = clock.setTimer(options.retryPeriodMs ?? 2_000, () => {
        if (!election.leading) context.ready();
      });
      try {
        await election.run({
          signal,
          async lead(leadership) {
            await component.run({ ...context, signal: leadership.signal });
            if (!leadership.signal.aborted)
              throw new Error(`${component.name} ended although it was not asked to stop`);
          },
        });
      } finally {
        standby.cancel();
      }
    },
  };
}
