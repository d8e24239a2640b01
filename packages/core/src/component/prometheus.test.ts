import { expect, it } from 'vitest';
import { metrics } from './prometheus.js';

it('prints counters, gauges and histograms as Prometheus reads them', async () => {
  const registry = metrics();
  registry.counter('plain_total', 'Counts.');
  const counter = registry.counter('requests_total', 'Requests, by\nverb \\ code.', ['verb', 'code']);
  counter.inc({ verb: 'GET', code: '200' });
  const series = counter.series({ verb: 'a "b"\\\n', code: '' });
  series.inc();
  series.inc(2.5);
  const gauge = registry.gauge('depth', 'Depth.', ['name']);
  gauge.set(7, { name: 'x' });
  gauge.dec({ name: 'x' });
  gauge.series({ name: 'y' }).add(Number.POSITIVE_INFINITY);
  registry.histogram('seconds', 'Time.', [], [0.1, 1]).observe(0.5);
  expect(await registry.text()).toBe(
    `# HELP plain_total Counts.
# TYPE plain_total counter
plain_total 0

# HELP requests_total Requests, by\\nverb \\\\ code.
# TYPE requests_total counter
requests_total{verb="GET",code="200"} 1
requests_total{verb="a \\"b\\"\\\\\\n",code=""} 3.5

# HELP depth Depth.
# TYPE depth gauge
depth{name="x"} 6
depth{name="y"} +Inf

# HELP seconds Time.
# TYPE seconds histogram
seconds_bucket{le="0.1"} 0
seconds_bucket{le="1"} 1
seconds_bucket{le="+Inf"} 1
seconds_sum 0.5
seconds_count 1
`,
  );
});

it('has one metric of a name, and refuses what does not fit it', () => {
  const registry = metrics();
  const counter = registry.counter('x_total', 'X.', ['a']);
  expect(registry.counter('x_total', 'X.', ['a'])).toBe(counter);
  expect(() => registry.gauge('x_total', 'X.', ['a'])).toThrow(/exists as a counter with labels \[a\]/);
  expect(() => registry.counter('x_total', 'X.')).toThrow(/not as a counter with \[\]/);
  expect(() => counter.inc({ b: '1' })).toThrow(/has no label "b"; its labels are a/);
  expect(() => counter.inc({ a: '1' }, -1)).toThrow(/can only grow/);
});
