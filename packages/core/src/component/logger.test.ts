import { describe, expect, it } from 'vitest';
import { manualClock } from '../clock/manual-clock.js';
import { logger } from './logger.js';
import { metrics } from './prometheus.js';

const at = () => manualClock(Date.UTC(2026, 0, 2, 3, 4, 5));

describe('logger', () => {
  it('writes lines of text with quoted fields', () => {
    const lines: string[] = [];
    const log = logger({ clock: at(), write: line => lines.push(line) }).with({ component: 'node' });
    log.info('pod started', {
      pod: 'default/web',
      message: 'two words',
      error: new Error('bad'),
      n: 3n,
      none: undefined,
    });
    log.debug('not shown');
    expect(lines).toEqual([
      '2026-01-02T03:04:05.000Z INFO  pod started component=node pod=default/web message="two words" error=bad n=3\n',
    ]);
  });

  it('writes JSON lines with stacks, and survives a cycle', () => {
    const lines: string[] = [];
    const log = logger({ clock: at(), level: 'debug', format: 'json', write: line => lines.push(line) });
    log.error('failed', { error: new Error('bad') });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    log.debug('round', { cycle });
    const first = JSON.parse(lines[0]!);
    expect(first).toMatchObject({ time: '2026-01-02T03:04:05.000Z', level: 'error', message: 'failed' });
    expect(first.error).toMatch(/^Error: bad\n/);
    expect(lines).toHaveLength(2);
  });

  it('is silent when told so', () => {
    const lines: string[] = [];
    logger({ level: 'silent', write: line => lines.push(line) }).error('x');
    expect(lines).toEqual([]);
  });
});

describe('metrics', () => {
  it('keeps one registry per value, and one metric per name', async () => {
    const one = metrics();
    const two = metrics();
    one.counter('requests_total', 'Requests.', ['code']).inc({ code: '200' });
    one.counter('requests_total', 'Requests.', ['code']).inc({ code: '200' }, 2);
    one.gauge('depth', 'Depth.').set(4);
    one.histogram('seconds', 'Time.', [], [0.1, 1]).observe(0.5);
    const text = await one.text();
    expect(text).toContain('requests_total{code="200"} 3');
    expect(text).toContain('depth 4');
    expect(text).toContain('seconds_bucket{le="1"} 1');
    expect(await two.text()).not.toContain('requests_total');
    expect(() => one.gauge('requests_total', 'Requests.')).toThrow('exists as a counter');
  });
});
