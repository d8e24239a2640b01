import { expect, it } from 'vitest';
import { metrics } from './prometheus.js';

it('counts in cumulative buckets, also through series that were looked up once', async () => {
  const registry = metrics();
  const seconds = registry.histogram('wait_seconds', 'How long.', ['verb'], [0.1, 1]);
  seconds.observe(0.1, { verb: 'get' });
  const gets = seconds.series({ verb: 'get' });
  gets.observe(0.5);
  gets.observe(30);
  seconds.observe(0.01, { verb: 'list' });
  const calls = registry.counter('calls_total', 'How many.', ['verb']);
  calls.inc({ verb: 'get' });
  const counted = calls.series({ verb: 'get' });
  counted.inc();
  counted.inc(3);
  const text = await registry.text();
  expect(text.split('\n').filter(line => line.startsWith('wait_seconds') && line.includes('get'))).toEqual([
    'wait_seconds_bucket{verb="get",le="0.1"} 1',
    'wait_seconds_bucket{verb="get",le="1"} 2',
    'wait_seconds_bucket{verb="get",le="+Inf"} 3',
    'wait_seconds_sum{verb="get"} 30.6',
    'wait_seconds_count{verb="get"} 3',
  ]);
  expect(text).toContain('# TYPE wait_seconds histogram');
  expect(text).toContain('wait_seconds_count{verb="list"} 1');
  expect(text).toContain('calls_total{verb="get"} 5');
  // Asked again, nothing is counted twice.
  expect(await registry.text()).toContain('calls_total{verb="get"} 5');
  expect(() => seconds.observe(1, { nope: 'x' })).toThrow(/no label "nope"/);
});
