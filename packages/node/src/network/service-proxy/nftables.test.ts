/** Services in the kernel: the rules as text, and as root in a network namespace with pods of two nodes. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { whyNotRoot } from '../../runtime/process/mode.js';
import { bundle, runtimePrograms } from '../../testing/bundle.js';
import { runProgram } from '../../testing/run-program.js';
import { rulesetFor, transaction } from './nftables-rules.js';
import type { ServicePort } from './service-port.js';

const port = (name: string, endpoints: number, more: Partial<ServicePort> = {}): ServicePort => ({
  key: `default/${name}`,
  namespace: 'default',
  name,
  clusterIP: '10.6.0.1',
  protocol: 'TCP',
  port: 80,
  endpoints: Array.from({ length: endpoints }, (_, index) => ({ ip: `10.1.0.${index + 2}`, port: 8_080 })),
  ...more,
});

describe('the transaction between two states', () => {
  it('is empty when nothing changed', () => {
    const rules = rulesetFor([port('web', 3)]);
    expect(transaction('t', rules, rulesetFor([port('web', 3)]))).toBe('');
    expect(transaction('t', undefined, rulesetFor([]))).toContain('table ip t');
  });

  it('touches the chain that changed and no set of clients', () => {
    const sticky = port('sticky', 2, { affinitySeconds: 10, clusterIP: '10.6.0.2' });
    const text = transaction('t', rulesetFor([port('web', 3), sticky]), rulesetFor([port('web', 2), sticky]));
    expect(text.match(/flush chain/g)).toHaveLength(1);
    expect(text).toContain('numgen inc mod 2');
    expect(text).not.toMatch(/(flush|delete) set ip t clients/);
  });

  it('takes references away before what they refer to', () => {
    const text = transaction('t', rulesetFor([port('web', 2, { affinitySeconds: 10 })]), rulesetFor([]));
    const lines = text.trim().split('\n');
    const first = (start: string) => lines.findIndex(line => line.startsWith(start));
    const last = (start: string) => lines.findLastIndex(line => line.startsWith(start));
    expect(first('flush map ip t services')).toBeLessThan(first('delete chain'));
    expect(last('flush chain')).toBeLessThan(first('delete chain'));
    expect(last('delete chain')).toBeLessThan(first('delete set ip t clients'));
  });
});

describe('as root', () => {
  const because =
    whyNotRoot() ?? (spawnSync('nft', ['--version']).error ? 'nft is missing: apt-get install -y nftables' : undefined);

  it.skipIf(because)(`serves host and pods${because ? ` (${because})` : ''}`, { timeout: 120_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nftables-'));
    await chmod(folder, 0o755);
    try {
      const programDirectory = await bundle(folder, {
        ...runtimePrograms,
        'nftables-main': 'network/service-proxy/testing/nftables-main',
      });
      const said = await runProgram(
        'in its own network',
        join(programDirectory, 'nftables-main.js'),
        { programDirectory },
        110_000,
      );
      expect(Number(/^. pass (\d+)$/m.exec(said)?.[1]), said).toBe(11);
      console.log(/1000 services.*/.exec(said)?.[0]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
