import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { reportHtml } from './report-html.js';
import { reportText } from './report-text.js';
import { parseScenario } from './scenario.js';
import { simulate } from './simulate.js';

const example = (name: string) => readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');
const least = `
until: 10m
nodes: [{ count: 2, cpu: 4, memory: 8Gi, gpu: 1, zones: [x, y] }]
workload:
  - group: <web> & "co"
    arrivals: { process: fixed, every: 5s, size: 2 }
    lifetime: { distribution: fixed, seconds: 1m30s }
    shapes: [{ cpu: 500m, memory: 100Mi }]
policies: [default, { policy: mostAllocated, name: '<packed>', weights: { NodeResourcesFit: 3 } }]
`;

describe('scenario files', () => {
  it('become options of simulate', () => {
    const options = parseScenario(least);
    expect(options).toMatchObject({ until: 600, workload: [{ arrivals: { every: 5 }, lifetime: { seconds: 90 } }] });
    expect(
      options.nodes.map(({ metadata, status }) => [metadata.name, metadata.labels, status.allocatable]),
    ).toMatchObject([
      [
        'node-0',
        { 'topology.kubernetes.io/zone': 'x' },
        { cpu: '4', memory: '8Gi', 'nvidia.com/gpu': '1', pods: '110' },
      ],
      ['node-1', { 'topology.kubernetes.io/zone': 'y' }, {}],
    ]);
    expect(options.policies.map(each => each.name)).toEqual(['default', '<packed>']);
  });

  it('name every wrong field', () => {
    const broken = least
      .replace('10m', 'soon')
      .replace('count: 2', 'count: 0')
      .replace('cpu: 500m', 'cpuu: 500m')
      .replace('process: fixed', 'process: sometimes')
      .replace('[default,', '[defualt,')
      .replace('weights', 'wieghts');
    let message = '';
    try {
      parseScenario(broken, { file: 'a.yaml' });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message.split('\n')).toEqual([
      'a.yaml: until: "soon" is no duration; give seconds, or 90s, 15m, 2h30m, 1d',
      expect.stringMatching(/^a\.yaml: nodes\[0\]\.count: /),
      expect.stringMatching(/^a\.yaml: workload\[0\]\.arrivals\.process: /),
      expect.stringMatching(/^a\.yaml: workload\[0\]\.shapes\[0\]: .*"cpuu"/),
      expect.stringMatching(/^a\.yaml: policies\[0\]: .*"default"/),
      expect.stringMatching(/^a\.yaml: policies\[1\]: .*"wieghts"/),
    ]);
  });

  it('are refused when they are no YAML, or read files where there are none', () => {
    expect(() => parseScenario('until: [', { file: 'a.yaml' })).toThrow(/^a\.yaml: /);
    const text = `${least.slice(0, least.indexOf('workload:'))}workload: [{ trace: jobs.csv }]\npolicies: [default]\n`;
    expect(() => parseScenario(text)).toThrow('workload[0].trace');
  });

  it.each(['spread-or-pack.yaml', 'trace.yaml'])('%s runs', async name => {
    const options = parseScenario(example(name), { file: name, readFile: example });
    const report = await simulate(options);
    expect(report.pods).toBeGreaterThan(10);
    for (const policy of report.policies) expect(policy.placements).toBeGreaterThan(0);
  });
});

describe('reports', () => {
  it('as text: a measure a line, a policy a column', async () => {
    const text = reportText(await simulate(parseScenario(least)));
    expect(text).toContain('2 nodes, 240 pods, 10m00s, seed 1');
    expect(text).toMatch(/cpu utilisation, mean of nodes {2,}\d+\.\d % {2,}\d+\.\d %\n/);
    expect(text).toMatch(/waiting, p99 /);
    expect(text).not.toContain('decisions a second');
    const timed = await simulate({ ...parseScenario(least), stopwatch: () => performance.now() });
    expect(reportText(timed)).toContain('decisions a second');
  });

  it('as one page without anything from elsewhere', async () => {
    const html = reportHtml(await simulate(parseScenario(least)));
    expect(html).toContain('&lt;packed&gt;');
    expect(html).not.toContain('<packed>');
    expect(html).not.toMatch(/<script|<link|src=|href=|url\(|@import|NaN|undefined|Infinity/);
    expect(html.match(/<svg/g)!.length).toBe(10);
    expect(html.match(/<polyline/g)!.length).toBe(20);
  });
});
