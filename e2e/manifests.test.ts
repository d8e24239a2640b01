/**
 * Manifests as two older systems wrote them (ours, with every quirk that we know of), applied to the MiniK8s distribution and judged by what
 * they do: on the process runtime as an ordinary user and as root, and on Docker. In CI all three run; elsewhere what is missing is said.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  Endpoints,
  Event,
  HorizontalPodAutoscaler,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Service,
} from '@orbitkit/core';
import type { CompatReport } from '@orbitkit/example-minik8s/apply';
import { processRuntime } from '@orbitkit/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './cluster.js';
import {
  type Distribution,
  isReady,
  type Place,
  sharedFolder,
  startDistribution,
  startMs,
} from './distribution/distribution.js';
import { whyNoDocker } from './distribution/docker-images.js';

const folder = fileURLToPath(new URL('./manifests/', import.meta.url));
const manifestsIn = (name: string) =>
  readdirSync(join(folder, name))
    .filter(file => /\.(yaml|json)$/.test(file))
    .sort()
    .map(file => join(folder, name, file));
const mustRun = process.env['ORBITKIT_CI'] === '1';

/** Why a place cannot be had here; undefined when it can. */
const missing: Record<Place, () => string | undefined> = {
  rootless: () => undefined,
  root: () => processRuntime({ dataDir: tmpdir() }).rootlessBecause,
  docker: whyNoDocker,
};

for (const place of ['rootless', 'root', 'docker'] as const) {
  const why = missing[place]();
  if (why && !mustRun) describe.skip(`manifests: ${place} (${why})`, () => it('is skipped', () => {}));
  else describe(`manifests: ${place}`, () => behaves(place));
}

function behaves(place: Place): void {
  const rootless = place === 'rootless';
  let minik8s: Distribution;
  let report: CompatReport;
  let shared: string;

  beforeAll(async () => {
    minik8s = await startDistribution(place);
    shared = sharedFolder(minik8s.directory, 'bound');
    writeFileSync(join(shared, 'word'), 'from the machine\n');
    const bind = join(minik8s.directory, 'bind.yaml');
    writeFileSync(bind, readFileSync(join(folder, 'bind.yaml'), 'utf8').replaceAll('/replaced/by/the/test', shared));
    // The pod that is to be adopted comes before its set.
    const files = manifestsIn('.').filter(file => !file.endsWith('/bind.yaml'));
    report = await minik8s.apply(join(folder, 'early.yaml'), ...files, bind);
  }, startMs);
  afterAll(async () => {
    await minik8s?.stop();
  }, 120_000);

  const pod = (name: string, namespace = 'default') => minik8s.pod(name, isReady, { namespace, timeoutMs: 60_000 });
  const ip = async (name: string) => (await pod(name)).status.podIP!;
  const service = (name: string, namespace = 'default') => minik8s.client.get(Service, { namespace, name });
  const readyAddresses = async (name: string, namespace: string, count: number) =>
    eventually(`${count} endpoints of ${name}`, async () => {
      const { subsets = [] } = await minik8s.client.get(Endpoints, { namespace, name });
      return subsets.flatMap(({ addresses = [] }) => addresses).length === count;
    });

  it('accepts every one, and says what it read differently', () => {
    expect(report.refused).toEqual([]);
    expect(report.waits).toEqual([]);
    expect(report.applied.length).toBeGreaterThanOrEqual(manifestsIn('.').length);
    const said = report.applied.flatMap(({ warnings }) => warnings);
    for (const text of [
      'imagePullPolicy PullIfNotPresent was read as IfNotPresent',
      'restartPolicy RestartOnFailure was read as OnFailure',
      'env "_NOTICE": the value 1 was read as text',
      'metadata.name "python_pod" is no legal name; it was rewritten to "python-pod"',
      'spec.selector is a flat map; it was read as matchLabels',
      'apiVersion v1 of ReplicaSet was read as apps/v1',
      'apiVersion autoscaling/v2beta2 of HorizontalPodAutoscaler was read as autoscaling/v2',
      'an item with only a hostPort was joined to the one before it',
      'targetPort belongs to services; it was dropped',
      'resources without limits or requests was read as limits',
      'resources.request was read as requests',
      'mounts was read as hostPath volumes',
      'volume "between" is not declared',
      'has no topologyKey; kubernetes.io/hostname was taken',
      'namespace "older-set" was created',
      'spec.address was kept as annotation',
    ])
      expect(said.join('\n')).toContain(text);
  });

  it('real Python runs, and its server answers at the pod, on the port of the machine and on the node port', async () => {
    await pod('python-pod');
    const script = 'import json, sys; print(json.dumps([sys.version_info[0], 6 * 7]))';
    const { out } = await minik8s.exec('python-pod', ['python', '-c', script]);
    expect(JSON.parse(out)).toEqual([3, 42]);
    const { spec } = await pod('python-pod');
    for (const [host, port] of [
      [await ip('python-pod'), 17_080],
      [minik8s.machineOf(spec.nodeName), 17_080],
      [minik8s.addressOf(await service('pythonservice-clusterip')), 17_080],
      ['127.0.0.1', 10_000],
    ] as const) {
      const page = await eventually(`${host}:${port}`, () => minik8s.ask(host, port, '/page'));
      expect(page).toBe('from-python\n');
    }
  });

  it('a fixed address gives its backends in turn, from the machine and from a pod; a backend that is gone gets none', async () => {
    await Promise.all([pod('notice-one'), pod('notice-two'), pod('python-pod')]);
    await readyAddresses('noticeservice-fixed', 'default', 2);
    const fixed = await service('noticeservice-fixed');
    expect(fixed.spec.clusterIP).toBe('10.6.0.1');
    const [host, port] = [minik8s.addressOf(fixed), minik8s.port(80)];
    if (rootless) {
      expect(host).toMatch(/^127\./);
      const found = await eventually('an event that says where it answers', async () => {
        const { items } = await minik8s.client.list(Event, { namespace: 'default' });
        return (
          items.find(
            ({ regarding, involvedObject, reason }: any) =>
              (involvedObject ?? regarding)?.name === 'noticeservice-fixed' && reason === 'SubstituteAddress',
          ) ?? false
        );
      });
      expect((found as any).message ?? (found as any).note).toContain(`10.6.0.1:80 answers on ${host}:${port}`);
    }
    const alternate = async (ask: () => Promise<string>) => {
      const answers: string[] = [];
      for (let i = 0; i < 6; i++) answers.push((await ask()).trim());
      expect(['121212', '212121']).toContain(answers.join(''));
    };
    // The rules may be a moment behind the endpoints.
    await eventually('both answer', async () => {
      const two = [await minik8s.ask(host, port), await minik8s.ask(host, port)];
      return new Set(two).size === 2;
    });
    await alternate(() => minik8s.ask(host, port));
    await alternate(() => minik8s.askFrom('python-pod', `http://${host}:${port}/`));

    await minik8s.client.delete(Pod, { namespace: 'default', name: 'notice-one' });
    await readyAddresses('noticeservice-fixed', 'default', 1);
    await eventually('only the other answers', async () => {
      for (let i = 0; i < 4; i++) if ((await minik8s.ask(host, port)).trim() !== '2') return false;
      return true;
    });
    await minik8s.client.delete(Service, { namespace: 'default', name: 'noticeservice-fixed' });
    await eventually('it refuses', async () => {
      const answer = await minik8s.ask(host, port).catch((error: NodeJS.ErrnoException) => error);
      return (
        answer instanceof Error &&
        /refused|ECONNREFUSED/.test(`${(answer as NodeJS.ErrnoException).code} ${answer.message}`)
      );
    });
  });

  it('containers of a pod share its localhost', async () => {
    await pod('pair');
    if (rootless) {
      // Loopback is the machine's: it answers at the pod's own address, and the pod says where.
      expect(await minik8s.ask(await ip('pair'), minik8s.port(80))).toBe('hello, neighbour\n');
      if (minik8s.port(80) !== 80) {
        const { status } = await pod('pair');
        const limited = status.conditions?.find(({ type }) => type === 'orbitkit.dev/Limited');
        expect(limited?.message).toContain(`it answers on ${minik8s.port(80)}`);
      }
      return;
    }
    expect(await minik8s.askFrom('pair', 'http://localhost:80/', { container: 'tools' })).toBe('hello, neighbour\n');
  });

  it('split ports are one; a volume holds what one container fetched for the other', async () => {
    const { spec, metadata, status } = await pod('split-ports');
    expect(
      spec.containers.map(({ ports }) => ports?.map(({ containerPort, hostPort }) => [containerPort, hostPort])),
    ).toEqual([[[3_000, 13_000]], [[8_000, undefined]]]);
    expect(metadata.annotations).toMatchObject({ 'prometheus.io/scrape': 'true', 'prometheus.io/port': '8000' });
    const page = `http://${await ip('python-pod')}:17080/page`;
    expect(
      await minik8s.ask(minik8s.machineOf(spec.nodeName), 13_000, `/download?url=${encodeURIComponent(page)}`),
    ).toBe('page\n');
    expect(await minik8s.ask(status.podIP!, 8_000, '/page')).toBe('from-python\n');
    await expect(minik8s.ask(status.podIP!, 8_000, '/..%2fpage')).rejects.toThrow('404');
  });

  it('a volume that nobody declared is shared at both paths', async () => {
    await pod('share');
    const write = await minik8s.exec('share', ['sh', '-c', `echo kept > ${minik8s.at('/from')}/word`], {
      container: 'write',
    });
    expect(write).toMatchObject({ code: 0, err: '' });
    const read = await minik8s.exec('share', ['cat', `${minik8s.at('/to/here')}/word`], { container: 'read' });
    expect(read).toMatchObject({ code: 0, out: 'kept\n' });
  });

  it('a folder of the machine is bound, and read-only where it says so', async () => {
    await pod('bind-pod');
    expect(await minik8s.exec('bind-pod', ['cat', `${minik8s.at('/mnt')}/word`])).toMatchObject({
      out: 'from the machine\n',
    });
    expect(await minik8s.exec('bind-pod', ['sh', '-c', `echo back > ${minik8s.at('/mnt')}/answer`])).toMatchObject({
      code: 0,
    });
    expect(readFileSync(join(shared, 'answer'), 'utf8')).toBe('back\n');
    if (rootless) return;
    const refused = await minik8s.exec('bind-pod', ['sh', '-c', 'echo no > /only-read/answer']);
    expect(refused.code).not.toBe(0);
    expect(readFileSync(join(shared, 'answer'), 'utf8')).toBe('back\n');
  });

  it('a program that ends has ended: well, badly, and well the second time', async () => {
    const ended = (name: string, phase: string) =>
      minik8s.pod(name, ({ status }) => status.phase === phase, { timeoutMs: 60_000 });
    const { spec, status } = await ended('ends', 'Succeeded');
    expect(spec.restartPolicy).toBe('OnFailure');
    expect(spec.containers[0]!.resources?.limits).toEqual({ cpu: '100m', memory: '200M' });
    expect(status.containerStatuses?.[0]).toMatchObject({ restartCount: 0, state: { terminated: { exitCode: 0 } } });
    const failed = await ended('fails', 'Failed');
    expect(failed.status.containerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 3 } },
    });
    const again = await ended('again', 'Succeeded');
    expect(again.status.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { terminated: { exitCode: 0 } },
    });
  });

  it('flame and ice are on different nodes, and answer', async () => {
    const [flame, ice] = await Promise.all([pod('flame'), pod('ice')]);
    expect(flame.spec.nodeName).not.toBe(ice.spec.nodeName);
    for (const each of [flame, ice])
      expect(await minik8s.ask(each.status.podIP!, minik8s.port(80))).toContain('<h1>Welcome');
  });

  it('a set adopts the pod that is there, makes the rest in its own namespace, and replaces what is deleted', async () => {
    const key = { namespace: 'older-set', name: 'older-set' };
    const readyAll = () =>
      eventually(
        'three ready',
        async () => (await minik8s.client.get(ReplicaSet, key)).status.readyReplicas === 3,
        60_000,
      );
    await readyAll();
    const members = async () =>
      (await minik8s.client.list(Pod, { namespace: 'older-set', labelSelector: 'app=set' })).items.filter(
        ({ metadata }) => !metadata.deletionTimestamp,
      );
    const before = await members();
    expect(before).toHaveLength(3);
    const early = before.find(({ metadata }) => metadata.name === 'early');
    expect(early?.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'ReplicaSet', name: 'older-set' });
    const answers = await Promise.all(before.map(({ status }) => minik8s.ask(status.podIP!, minik8s.port(80))));
    expect(answers.sort()).toEqual(['early\n', 'made\n', 'made\n']);
    await minik8s.client.delete(Pod, { namespace: 'older-set', name: 'early' });
    await eventually('another in its place', async () => {
      const now = await members();
      return now.length === 3 && now.every(each => isReady(each) && each.metadata.name !== 'early');
    });
  });

  it('two servers that want the same port of the machine are on different nodes, each with its own', async () => {
    const both = await eventually(
      'two ready',
      async () => {
        const { items } = await minik8s.client.list(Pod, { namespace: 'default', labelSelector: 'app=busy' });
        return items.length === 2 && items.every(isReady) ? items : false;
      },
      60_000,
    );
    expect(new Set((both as Pod[]).map(({ spec }) => spec.nodeName)).size).toBe(2);
    for (const { spec, status } of both as Pod[]) {
      const asked = await eventually(`${spec.nodeName}`, () => minik8s.ask(minik8s.machineOf(spec.nodeName), 17_081));
      expect(asked).toContain('fib(30) = 832040');
      expect(await minik8s.ask(status.podIP!, 7_080)).toContain('seen-by-the-pod');
    }
  });

  it('JSON with tabs and a whole object with uid and status: the server keeps its own', async () => {
    const { metadata, spec, status } = await pod('tabs');
    expect(metadata.uid).not.toBe('0d1c0a5e-0000-4000-8000-000000000000');
    expect(spec.nodeName).toBe('n2');
    expect(spec.containers[0]!.resources).toEqual({ requests: { cpu: '10m' }, limits: { cpu: '1' } });
    expect(status.phase).toBe('Running');
    expect(status.podIP).not.toBe('10.9.9.9');
  });

  it('a deployment serves its files; autoscalers and nodes of others are kept', async () => {
    const files = await eventually(
      'two ready',
      async () => {
        const { items } = await minik8s.client.list(Pod, { namespace: 'default', labelSelector: 'app=files' });
        return items.length === 2 && items.every(isReady) ? items : false;
      },
      60_000,
    );
    for (const { status } of files as Pod[]) expect(await minik8s.ask(status.podIP!, 8_080)).toBe('\n');
    const scaler = await minik8s.client.get(HorizontalPodAutoscaler, { namespace: 'default', name: 'scaler-v1' });
    expect(scaler.spec.metrics?.[0]?.resource?.target).toMatchObject({ averageUtilization: 40 });
    const far = await minik8s.client.get(Node, { name: 'far-away' });
    expect(far.metadata.annotations?.['minik8s.orbitkit.dev/address']).toBe('127.0.0.1');
  });

  it('binds a claim, to a volume that is made since none is large enough, and its data outlives its pod', async () => {
    const volumes = await minik8s.apply(...manifestsIn('volumes'));
    expect(volumes.applied.map(({ name }) => name)).toEqual([
      'persistentvolume/volume',
      'persistentvolumeclaim/claim',
      'pod/claims',
    ]);
    await pod('claims');
    const claim = await minik8s.client.get(PersistentVolumeClaim, { namespace: 'default', name: 'claim' });
    expect(claim.status).toMatchObject({ phase: 'Bound', capacity: { storage: '8Gi' } });
    expect((await minik8s.client.get(PersistentVolume, { name: 'volume' })).status.phase).toBe('Available');
    const { spec } = await minik8s.client.get(PersistentVolume, { name: claim.spec.volumeName! });
    const words = () => readFileSync(join(spec.hostPath!.path, 'words'), 'utf8');
    expect(words()).toBe('here\n');
    await minik8s.client.delete(Pod, { namespace: 'default', name: 'claims' }, { gracePeriodSeconds: 1 });
    await eventually('it is gone', async () => {
      const { items } = await minik8s.client.list(Pod, { namespace: 'default' });
      return items.every(({ metadata }) => metadata.name !== 'claims');
    });
    await minik8s.apply(...manifestsIn('volumes'));
    await pod('claims');
    expect(words()).toBe('here\nhere\n');
  }, 120_000);

  it('lists what must wait with its reason, refuses what is wrong with the field, and ends accordingly', async () => {
    const apply = async (...files: string[]) => {
      const program = fileURLToPath(new URL('../examples/minik8s/dist/apply.js', import.meta.url));
      const env = { PATH: process.env['PATH'] ?? '', KUBECONFIG: minik8s.kubeconfig };
      return promisify(execFile)(process.execPath, [program, ...files], { env, timeout: 30_000 })
        .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }))
        .catch(error => error as { code: number; stdout: string; stderr: string });
    };
    const waits = await apply(...manifestsIn('waits'));
    expect(waits).toMatchObject({ code: 0, stderr: '' });
    expect(waits.stdout.trim().split('\n').sort()).toEqual([
      'DNS routes waits: DNS routes are not served yet',
      'Dns more-routes waits: DNS routes are not served yet',
      'Func double waits: functions are not served yet',
      'Hpa scaler waits: this older autoscaler counts pods by label, without a workload to scale; a HorizontalPodAutoscaler scales one',
      'Job matrices waits: cluster jobs are not served yet',
      'event of function double waits: events of functions are not served yet',
      'function double waits: functions are not served yet',
    ]);

    const wrong = await apply(...manifestsIn('wrong'));
    expect(wrong.code).toBe(1);
    for (const [file, field] of [
      ['address.yaml', 'spec.clusterIPs'],
      ['image.yaml', 'spec.containers.image'],
      ['indent.yaml', 'indent.yaml:2:7'],
      ['list.yaml', 'a manifest is a mapping'],
      ['nodeport.yaml', 'spec.ports[0].nodePort'],
      ['policy.yaml', 'spec.restartPolicy'],
      ['port.yaml', 'spec.containers[0].ports[0].containerPort'],
      ['quantity.yaml', 'spec.containers[0].resources.limits'],
      ['selector.yaml', 'spec.template.metadata.labels'],
    ] as const) {
      const line = wrong.stderr.split('\nError: ').find(text => text.includes(`/${file}:`));
      expect(line, `${file}: ${wrong.stderr}`).toContain(field);
    }
    const { items } = await minik8s.client.list(Pod, { namespace: 'default' });
    expect(items.filter(({ metadata }) => /^wrong/.test(metadata.name))).toEqual([]);
  });
}
