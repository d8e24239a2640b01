/** What the queues do, under upstream's names (`apiserver_flowcontrol_…`). Counting costs a few additions a request. */
import type { Metrics } from '@orbitkit/core';

/** Of one flow schema in one priority level. */
export interface FlowSeries {
  /** Running now. */
  began(seats: number): void;
  ended(seats: number, seconds: number): void;
  /** Into a queue, and out of it. */
  entered(): void;
  left(): void;
  waited(seconds: number): void;
  refused(reason: string): void;
}

export interface FlowMetrics {
  of(level: string, schema: string): FlowSeries;
  /** Seats of a level by its share. */
  limits(level: string, seats: number): void;
}

const prefix = 'apiserver_flowcontrol_';

export function flowMetrics(metrics: Metrics): FlowMetrics {
  const both = ['priority_level', 'flow_schema'];
  const dispatched = metrics.counter(`${prefix}dispatched_requests_total`, 'Requests that were let in.', both);
  const rejected = metrics.counter(`${prefix}rejected_requests_total`, 'Requests that were refused.', [
    ...both,
    'reason',
  ]);
  const executing = metrics.gauge(`${prefix}current_executing_requests`, 'Requests that run.', both);
  const executingSeats = metrics.gauge(`${prefix}current_executing_seats`, 'Seats that they take.', both);
  const inQueue = metrics.gauge(`${prefix}current_inqueue_requests`, 'Requests that wait.', both);
  const nominal = metrics.gauge(`${prefix}nominal_limit_seats`, 'Seats of a level by its share.', ['priority_level']);
  const wait = metrics.histogram(`${prefix}request_wait_duration_seconds`, 'Seconds in a queue.', both);
  const execution = metrics.histogram(`${prefix}request_execution_seconds`, 'Seconds with seats taken.', both);

  const known = new Map<string, FlowSeries>();
  return {
    of(level, schema) {
      const key = `${level}\n${schema}`;
      let series = known.get(key);
      if (series !== undefined) return series;
      const labels = { priority_level: level, flow_schema: schema };
      const own = {
        dispatched: dispatched.series(labels),
        executing: executing.series(labels),
        seats: executingSeats.series(labels),
        inQueue: inQueue.series(labels),
        wait: wait.series(labels),
        execution: execution.series(labels),
      };
      series = {
        began(seats) {
          own.dispatched.inc();
          own.executing.add(1);
          own.seats.add(seats);
        },
        ended(seats, seconds) {
          own.executing.add(-1);
          own.seats.add(-seats);
          own.execution.observe(seconds);
        },
        entered: () => own.inQueue.add(1),
        left: () => own.inQueue.add(-1),
        waited: seconds => own.wait.observe(seconds),
        refused: reason => rejected.inc({ ...labels, reason }),
      };
      known.set(key, series);
      return series;
    },
    limits: (level, seats) => nominal.set(seats, { priority_level: level }),
  };
}
