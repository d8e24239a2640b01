import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { copyPlace, renaming } from './copy.js';
import { portOf, portPair } from './port-forward.js';

it('tells places in pods from places here', () => {
  expect(copyPlace('web:/data')).toEqual({ pod: 'web', path: '/data' });
  expect(copyPlace('deploy/web:data/a:b')).toEqual({ pod: 'deploy/web', path: 'data/a:b' });
  for (const here of ['./a:b', '/tmp/a:b', 'plain', '.']) expect(copyPlace(here)).toEqual({ path: here });
  expect(() => copyPlace('web:')).toThrow('a path is required after the colon');
});

it.each([
  ['plain', 'other'],
  ['a.b*c[d]$^', 'x&y,z\\w'],
  ['a', 'a'],
])('renames %s to %s and nothing else', (from, to) => {
  const dir = mkdtempSync(join(tmpdir(), 'orbitkit-copy-'));
  try {
    mkdirSync(join(dir, 'in', from), { recursive: true });
    mkdirSync(join(dir, 'out'));
    writeFileSync(join(dir, 'in', from, `${from}x`), 'text');
    const archive = execFileSync('tar', ['-cf', '-', '-C', join(dir, 'in'), renaming(from, to), '--', from]);
    execFileSync('tar', ['-xf', '-', '-C', join(dir, 'out')], { input: archive });
    expect(readdirSync(join(dir, 'out'))).toEqual([to]);
    expect(readdirSync(join(dir, 'out', to))).toEqual([`${from}x`]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

it('reads ports', () => {
  expect(portPair('8080:80')).toEqual({ local: 8080, remote: '80' });
  expect(portPair('80')).toEqual({ local: 80, remote: '80' });
  expect(portPair(':http')).toEqual({ local: 0, remote: 'http' });
  for (const wrong of ['http', '70000:80', '80:0', 'a:80', '', '1:2:3'])
    expect(() => portPair(wrong), wrong).toThrow(/ports are written|needs a local one/);
});

it('finds the port of a pod by number, by name, and through a service', () => {
  const pod = {
    metadata: { name: 'web' },
    spec: { containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
  };
  const service = {
    metadata: { name: 's' },
    spec: {
      ports: [
        { name: 'w', port: 80, targetPort: 'http' },
        { name: 'x', port: 81 },
      ],
    },
  };
  const find = (remote: string, through?: object) => portOf(pod as never, remote, through as never);
  expect([find('9'), find('http'), find('80', service), find('w', service), find('81', service)]).toEqual([
    9, 8080, 8080, 8080, 81,
  ]);
  expect(() => find('none')).toThrow('pod web has no port named none');
  expect(() => find('82', service)).toThrow('service s has no port 82');
});
