import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { csvRows } from './csv.js';
import { readTrace } from './trace.js';

const brief = (text: string, options?: Parameters<typeof readTrace>[1]) =>
  readTrace(text, options).map(({ at, name, group, seconds, template: { spec } }) => ({
    at,
    name,
    group,
    seconds,
    ...spec.containers[0]!.resources!.requests,
    ...(spec.priority === undefined ? {} : { priority: spec.priority }),
  }));

describe('readTrace', () => {
  it('reads our columns in any order', () => {
    const text =
      'name,time,duration,memory,cpu,count,gpu,group,priority\r\nweb,10,,1Gi,500m,2,,services,5\r\n"a, b",20,60,2048,1.5,,2,,\r\n';
    expect(brief(text)).toEqual([
      { at: 10, name: 'web-0', group: 'services', seconds: Infinity, cpu: '500m', memory: '1Gi', priority: 5 },
      { at: 10, name: 'web-1', group: 'services', seconds: Infinity, cpu: '500m', memory: '1Gi', priority: 5 },
      { at: 20, name: 'a, b', group: 'default', seconds: 60, cpu: '1.5', memory: '2048', 'nvidia.com/gpu': '2' },
    ]);
  });

  it('maps columns by name or number', () => {
    const named = { time: 'start', name: 'id', cpu: 'cores', memory: 'ram', duration: 'life' };
    const row = { at: 2.5, name: 'x', group: 'default', seconds: 15, cpu: '1', memory: '1Gi' };
    expect(brief('id,start,life,ram,cores\nx,5,30,1Gi,1\n', { columns: named, speedup: 2 })).toEqual([row]);
    const numbered = { name: 0, time: 1, duration: 2, memory: 3, cpu: 4 };
    expect(brief('x,5,30,1Gi,1\n', { columns: numbered, speedup: 2 })).toEqual([row]);
  });

  it('says file, line and column of what is wrong', () => {
    const read = (text: string) => () => readTrace(text, { file: 'jobs.csv' });
    expect(read('time,name,cpu,memory\n')).toThrow(
      'jobs.csv:1: no column "duration" for duration; there are time, name, cpu, memory',
    );
    expect(read('time,name,cpu,memory,duration\n\nsoon,a,1,1,1\n')).toThrow(
      'jobs.csv:3: column time: "soon" is no number',
    );
    expect(read('time,name,cpu,memory,duration\n1,a,much,1,1\n')).toThrow(
      'jobs.csv:2: column cpu: "much" is no quantity',
    );
    expect(read('time,name,cpu,memory,duration\n1,,1,1,1\n')).toThrow('jobs.csv:2: column name is empty');
    expect(() => [...csvRows('a\n"b')]).toThrow('line 2: a quote is not closed');
  });

  it("reads Azure's vmtable", () => {
    const text = 'v1,sub-a,dep,300,900,99,10,50,Interactive,2,4\nv2,sub-b,dep,600,2591400,99,10,50,Unknown,>24,>64\n';
    expect(brief(text, { format: 'azure-vm' })).toEqual([
      { at: 0, name: 'vm-1', group: 'sub-a', seconds: 600, cpu: '2000m', memory: `${4 * 2 ** 30}` },
      { at: 300, name: 'vm-2', group: 'sub-b', seconds: 2_590_800, cpu: '24000m', memory: `${64 * 2 ** 30}` },
    ]);
  });

  it("reads Google's task events: a life from first schedule to first end", () => {
    const event = (seconds: number, task: number, type: number) =>
      `${seconds * 1e6},,42,${task},7,${type},ann,2,9,0.25,0.125,0,0`;
    const text = [event(600, 0, 0), event(610, 1, 0), event(620, 0, 1), event(700, 0, 4), event(800, 0, 0)].join('\n');
    expect(brief(text, { format: 'google-2011', machine: { cpu: 16, memory: '64Gi' } })).toEqual([
      { at: 0, name: '42-0', group: 'ann', seconds: 80, cpu: '4000m', memory: `${8 * 2 ** 30}`, priority: 9 },
      { at: 10, name: '42-1', group: 'ann', seconds: Infinity, cpu: '4000m', memory: `${8 * 2 ** 30}`, priority: 9 },
    ]);
  });

  it("reads Alibaba's batch tasks, an instance a pod", () => {
    const text = 'M1,2,j_7,1,Terminated,100,160,50,25\nR2_1,1,j_7,1,Running,160,0,100,\n';
    expect(brief(text, { format: 'alibaba-2018', machine: { cpu: 96, memory: '4Gi' } })).toEqual([
      { at: 0, name: 'j-7-m1-0', group: 'j_7', seconds: 60, cpu: '500m', memory: `${2 ** 30}` },
      { at: 0, name: 'j-7-m1-1', group: 'j_7', seconds: 60, cpu: '500m', memory: `${2 ** 30}` },
      { at: 60, name: 'j-7-r2-1', group: 'j_7', seconds: Infinity, cpu: '1000m', memory: '0' },
    ]);
  });

  it("reads Alibaba's GPU pods, whole and shared", () => {
    const text = `name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time
p0,12000,16384,1,1000,,LS,Running,50,150,51
p1,6000,12288,1,460,,BE,Succeeded,60,,61
`;
    expect(brief(text, { format: 'alibaba-gpu-2023' })).toEqual([
      { at: 0, name: 'p0', group: 'LS', seconds: 100, cpu: '12000m', memory: '16384Mi', 'nvidia.com/gpu': '1' },
      {
        at: 10,
        name: 'p1',
        group: 'BE',
        seconds: Infinity,
        cpu: '6000m',
        memory: '12288Mi',
        'orbitkit.dev/gpu-share': '46',
      },
    ]);
    expect(() => readTrace('name,cpu\n', { format: 'alibaba-gpu-2023', file: 'f' })).toThrow(
      'f:1: no column "cpu_milli"',
    );
  });

  it('reads the example', () => {
    const text = readFileSync(new URL('../../examples/trace.csv', import.meta.url), 'utf8');
    expect(readTrace(text)).toHaveLength(17);
  });
});
