import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroups, findCgroups } from './cgroup.js';
import { hostMounts, mountCommands, quote } from './mount-namespace.js';

describe('the mounts that a container sees', () => {
  const text = `22 1 8:1 / / rw - ext4 /dev/sda rw
23 22 0:5 / /dev rw - devtmpfs udev rw
24 23 0:20 / /dev/pts rw - devpts devpts rw
25 22 0:21 / /proc rw - proc proc rw
26 22 0:22 / /sys rw - sysfs sysfs rw
27 26 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup rw
28 22 8:2 / /home rw - ext4 /dev/sdb rw
29 22 0:40 / /run rw - tmpfs tmpfs rw
30 29 0:4 net:[4026532] /run/netns/x rw - nsfs nsfs rw
31 22 0:41 / /var/lib/docker/overlay2/a/merged rw - overlay overlay rw
32 22 8:3 / /media/with\\040blank rw - ext4 /dev/sdc rw
`;

  it('are the real file systems and the kernel’s, parents first', () => {
    expect(hostMounts(text).map(({ path }) => path)).toEqual(['/dev', '/sys', '/run', '/proc', '/home']);
  });

  it('are laid over, so that the machine’s stay as they are', () => {
    const commands = mountCommands(
      {
        scratch: '/s',
        kept: ['/work'],
        mounts: [{ hostPath: "/it's", containerPath: 'data/../data/', readOnly: true }],
        files: [{ path: '/etc/hosts', source: '/s/hosts' }],
        readOnly: true,
      },
      hostMounts(text),
    );
    expect(commands).toContain('lowerdir=/home,');
    expect(commands).toContain("mount --rbind '/proc' '/s/root/proc'");
    expect(commands).toContain("mount --rbind '/it'\\''s' '/s/root/data'");
    expect(commands).toContain("mount -o remount,bind,ro '/s/root/data'");
    expect(commands.trimEnd().split('\n').at(-1)).toBe("mount -o remount,ro '/s/root'");
  });

  it('quotes for the shell', () => {
    expect(quote("a'b $c")).toBe("'a'\\''b $c'");
  });
});

describe('control groups', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cgroup-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** Control groups are made by the kernel with their files in them; here they are plain files. */
  const read = (...path: string[]) => readFileSync(join(folder, ...path), 'utf8');

  it('finds version 1 where each controller is', () => {
    mkdirSync(join(folder, 'memory'));
    mkdirSync(join(folder, 'cpu,cpuacct'));
    const mounts = `cgroup ${folder}/memory cgroup rw,memory 0 0\ncgroup ${folder}/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n`;
    expect(findCgroups(mounts)).toEqual({
      version: 1,
      memory: `${folder}/memory`,
      cpu: `${folder}/cpu,cpuacct`,
      cpuacct: `${folder}/cpu,cpuacct`,
    });
    expect(findCgroups('proc /proc proc rw 0 0\n')).toEqual({ version: 1 });
  });

  it('finds version 2 with the controllers that its children can have', () => {
    writeFileSync(join(folder, 'cgroup.subtree_control'), 'cpu memory');
    const found = findCgroups(`cgroup2 ${folder} cgroup2 rw 0 0\n`);
    // A plain file keeps the last word that was written; the kernel keeps all.
    expect(found).toMatchObject({ version: 2 });
  });

  it('writes limits of version 1 in its units', () => {
    const groups = cgroups({ version: 1, cpu: folder, memory: folder }, 'abc');
    groups.create('one', { cpuLimitMillis: 250, cpuRequestMillis: 100, memoryLimitBytes: 1_000_000 });
    expect(read('orbitkit-abc', 'one', 'cpu.cfs_quota_us')).toBe('25000');
    expect(read('orbitkit-abc', 'one', 'cpu.cfs_period_us')).toBe('100000');
    expect(read('orbitkit-abc', 'one', 'cpu.shares')).toBe('102');
    expect(read('orbitkit-abc', 'one', 'memory.limit_in_bytes')).toBe('1000000');
    expect(groups.ids()).toEqual(['one']);
  });

  it('writes limits of version 2 in its units, and reads use without idle cache', () => {
    const groups = cgroups({ version: 2, cpu: folder, cpuacct: folder, memory: folder }, 'abc');
    groups.create('one', { cpuLimitMillis: 5, cpuRequestMillis: 1_000, memoryLimitBytes: 4_096 });
    expect(read('orbitkit-abc', 'one', 'cpu.max')).toBe('1000 100000');
    expect(read('orbitkit-abc', 'one', 'cpu.weight')).toBe('39');
    expect(read('orbitkit-abc', 'one', 'memory.max')).toBe('4096');
    expect(read('orbitkit-abc', 'one', 'memory.swap.max')).toBe('0');
    const write = (file: string, text: string) => writeFileSync(join(folder, 'orbitkit-abc', 'one', file), text);
    write('cpu.stat', 'usage_usec 1500\nuser_usec 1000\n');
    write('memory.current', '9000');
    write('memory.stat', 'anon 5000\ninactive_file 4000\n');
    write('memory.events', 'oom 2\noom_kill 1\n');
    expect(groups.usage('one')).toEqual({ cpuNanos: 1_500_000, memoryBytes: 5_000 });
    expect(groups.outOfMemoryKills('one')).toBe(1);
    expect(groups.joinFiles('one')).toEqual([join(folder, 'orbitkit-abc', 'one', 'cgroup.procs')]);
  });
});
