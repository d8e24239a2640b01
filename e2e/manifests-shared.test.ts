/**
 * The real manifests of two older MiniK8s systems, where they are: in the folder `$MINIK8S_MANIFESTS`, or in `../shared/manifests` beside
 * this repository. Their text is not part of it. Every file has its line here: applied, or waiting with its reason; those that run are judged
 * by what they do. They reuse names and addresses, so they come in groups, one after another.
 */
import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Endpoints,
  HorizontalPodAutoscaler,
  Node,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  Service,
} from '@orbitkit/core';
import { processRuntime } from '@orbitkit/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from './cluster.js';
import { type Distribution, isReady, type Place, startDistribution, startMs } from './distribution/distribution.js';
import { whyNoDocker } from './distribution/docker-images.js';

const beside = fileURLToPath(new URL('../../shared/manifests/', import.meta.url));
const folder = process.env['MINIK8S_MANIFESTS'] ?? beside;
const mustRun = process.env['ORBITKIT_CI'] === '1';

const functions = 'functions are not served yet';

/** Every file: what its one object becomes, or why it waits. */
const expected: Readonly<Record<string, { applied: string } | { waits: string }>> = {
  'minik8s-a/dns/dns.yaml': { waits: 'DNS routes are not served yet' },
  'minik8s-a/dns/dns_nginx.yaml': { applied: 'pod/dns-nginx' },
  'minik8s-a/dns/dns_pvc.yaml': { applied: 'persistentvolumeclaim/my-dns' },
  'minik8s-a/network_pod_test.yaml': { applied: 'pod/network-pod' },
  'minik8s-a/normal_pod.yaml': { applied: 'pod/normal-pod' },
  'minik8s-a/pv/persistent_volume.yaml': { applied: 'persistentvolume/pv1' },
  'minik8s-a/pv/persistent_volume_claim.yaml': { applied: 'persistentvolumeclaim/pvc' },
  'minik8s-a/pv/pod_for_pv.yaml': { applied: 'pod/pv-pod' },
  'minik8s-a/replicaset/replica_distribute.yaml': { applied: 'replicaset.apps/replica-distribute' },
  'minik8s-a/replicaset/replicaset.yaml': { applied: 'replicaset.apps/replica' },
  'minik8s-a/replicaset/service_clusterIP.yaml': { applied: 'service/replicaservice-clusterip' },
  'minik8s-a/serverless/add.yaml': { waits: functions },
  'minik8s-a/serverless/convert_char.yaml': { waits: functions },
  'minik8s-a/serverless/convert_num.yaml': { waits: functions },
  'minik8s-a/serverless/encrypt.yaml': { waits: functions },
  'minik8s-a/serverless/fileEvent.yaml': { waits: 'events of functions are not served yet' },
  'minik8s-a/serverless/move_left.yaml': { waits: functions },
  'minik8s-a/serverless/move_right.yaml': { waits: functions },
  'minik8s-a/serverless/sleep.yaml': { waits: functions },
  'minik8s-a/serverless/subtract.yaml': { waits: functions },
  'minik8s-a/serverless/timeEvent.yaml': { waits: 'events of functions are not served yet' },
  'minik8s-a/service/pod.yaml': { applied: 'pod/service-web-pod' },
  'minik8s-a/service/pod2.yaml': { applied: 'pod/service-pod2' },
  'minik8s-a/service/service_clusterIP.yaml': { applied: 'service/myservice-clusterip' },
  'minik8s-a/service/service_clusterIP2.yaml': { applied: 'service/myservice-clusterip2' },
  'minik8s-a/service/service_nodeport.yaml': { applied: 'service/myservice-nodeport' },
  'minik8s-a/volumn_pod_test.yaml': { applied: 'pod/example-pod' },
  'minik8s-b/dns/debugger.yaml': { applied: 'pod/dns-network-test-debugger' },
  'minik8s-b/dns/dns.yaml': { waits: 'DNS routes are not served yet' },
  'minik8s-b/dns/new_world.yaml': { applied: 'pod/dns-network-test-2' },
  'minik8s-b/dns/service-new-world.yaml': { applied: 'service/dns-new-world' },
  'minik8s-b/dns/service-world.yaml': { applied: 'service/dns-world' },
  'minik8s-b/dns/world1.yaml': { applied: 'pod/dns-network-test-1' },
  'minik8s-b/dns/world2.yaml': { applied: 'pod/dns-network-test-1-1' },
  'minik8s-b/hpa/hpa-cpu-up.yaml': { applied: 'horizontalpodautoscaler.autoscaling/hpa-cpu-up' },
  'minik8s-b/hpa/hpa-mem-down.yaml': { applied: 'horizontalpodautoscaler.autoscaling/hpa-mem-down' },
  'minik8s-b/hpa/myapp-cpu.yaml': { applied: 'replicaset.apps/myapp-replicas' },
  'minik8s-b/hpa/myapp-mem.yaml': { applied: 'replicaset.apps/myapp-replicas-memory' },
  'minik8s-b/hpa/service.yaml': { applied: 'service/notices' },
  'minik8s-b/job/matrix-sum.yaml': { waits: 'cluster jobs are not served yet' },
  'minik8s-b/node/master.yaml': { applied: 'node/master' },
  'minik8s-b/node/worker1.yaml': { applied: 'node/worker1' },
  'minik8s-b/node/worker2.yaml': { applied: 'node/worker2' },
  'minik8s-b/node/worker3.yaml': { applied: 'node/worker3' },
  'minik8s-b/pod/network-test.yaml': { applied: 'pod/network-test' },
  'minik8s-b/pod/schedule/myapp-schedule-flame.yaml': { applied: 'pod/myapp-schedule-flame' },
  'minik8s-b/pod/schedule/myapp-schedule-ice.yaml': { applied: 'pod/myapp-schedule-ice' },
  'minik8s-b/pod/success-failure.yaml': { applied: 'pod/succeed-failure' },
  'minik8s-b/pod/volume-arg-test.yaml': { applied: 'pod/arg-volume-test' },
  'minik8s-b/replica/myapp-replicas.yaml': { applied: 'replicaset.apps/myapp-replicas' },
  'minik8s-b/replica/notice-server.yaml': { applied: 'pod/network-test-1' },
  'minik8s-b/replica/service.yaml': { applied: 'service/rs-service' },
  'minik8s-b/svc/debugger.yaml': { applied: 'pod/network-test-debugger' },
  'minik8s-b/svc/pod1.yaml': { applied: 'pod/network-test-1' },
  'minik8s-b/svc/pod2.yaml': { applied: 'pod/network-test-2' },
  'minik8s-b/svc/service.yaml': { applied: 'service/notices' },
};

const missing: Record<Place, () => string | undefined> = {
  rootless: () => undefined,
  root: () => processRuntime({ dataDir: tmpdir() }).rootlessBecause,
  docker: whyNoDocker,
};

if (!existsSync(folder)) {
  describe.skip(`shared manifests (${folder} is not there; MINIK8S_MANIFESTS names another)`, () => {
    it('is skipped', () => {});
  });
} else {
  // As root first: it waits for nobody's turn.
  for (const place of ['root', 'rootless', 'docker'] as const) {
    const why = missing[place]();
    if (why && !mustRun) describe.skip(`shared manifests: ${place} (${why})`, () => it('is skipped', () => {}));
    else describe(`shared manifests: ${place}`, () => acceptance(place));
  }
}

function acceptance(place: Place): void {
  const rootless = place === 'rootless';
  const tested = new Set<string>();
  let minik8s: Distribution;

  beforeAll(async () => {
    // As many as want one port of the machine at one time.
    minik8s = await startDistribution(place, 5);
  }, startMs);
  afterAll(async () => {
    await minik8s?.stop();
  }, 120_000);

  /** Applies files in this order; each becomes what the table says. */
  async function apply(...names: string[]): Promise<void> {
    for (const name of names) {
      tested.add(name);
      const { applied, waits, refused } = await minik8s.apply(join(folder, name));
      expect(refused, name).toEqual([]);
      const line = expected[name]!;
      if ('waits' in line)
        expect(
          waits.map(({ reason }) => reason),
          name,
        ).toEqual([line.waits]);
      else
        expect(
          applied.map(({ name }) => name),
          name,
        ).toEqual([line.applied]);
    }
  }

  /** Makes room for the next group; `kept` pods go on. */
  async function clear(...kept: string[]): Promise<void> {
    for (const namespace of ['default', 'replica-namespace']) {
      await minik8s.client.deleteCollection(HorizontalPodAutoscaler, { namespace });
      await minik8s.client.deleteCollection(ReplicaSet, { namespace, propagationPolicy: 'Background' });
      const { items: services } = await minik8s.client.list(Service, { namespace });
      for (const { metadata } of services) {
        if (metadata.name !== 'kubernetes') await minik8s.client.delete(Service, { namespace, name: metadata.name });
      }
      await eventually(
        `no pods in ${namespace}`,
        async () => {
          const { items } = await minik8s.client.list(Pod, { namespace });
          const left = items.filter(({ metadata }) => !kept.includes(metadata.name));
          for (const { metadata } of left) {
            if (metadata.deletionTimestamp) continue;
            await minik8s.client
              .delete(Pod, { namespace, name: metadata.name }, { gracePeriodSeconds: 1 })
              .catch(error => expect(error).toMatchObject({ reason: 'NotFound' }));
          }
          return left.length === 0;
        },
        60_000,
      );
    }
  }

  const pod = (name: string) => minik8s.pod(name, isReady, { timeoutMs: 60_000 });
  const answer = (host: string, port: number, path = '/') =>
    eventually(`${host}:${port}${path}`, () => minik8s.ask(host, port, path));
  const podAnswers = async (name: string, port: number, path = '/') =>
    answer((await pod(name)).status.podIP!, minik8s.port(port), path);
  async function service(name: string, endpoints: number): Promise<[host: string, port: number]> {
    const found = await minik8s.client.get(Service, { namespace: 'default', name });
    await eventually(`${endpoints} endpoints of ${name}`, async () => {
      const { subsets = [] } = await minik8s.client.get(Endpoints, { namespace: 'default', name });
      return subsets.flatMap(({ addresses = [] }) => addresses).length === endpoints;
    });
    return [minik8s.addressOf(found), minik8s.port(found.spec.ports![0]!.port)];
  }
  const ready = (name: string, replicas: number, namespace = 'default') =>
    eventually(
      `${replicas} ready of ${name}`,
      async () => (await minik8s.client.get(ReplicaSet, { namespace, name })).status.readyReplicas === replicas,
      60_000,
    );
  const labelled = async (labelSelector: string, namespace = 'default') =>
    (await minik8s.client.list(Pod, { namespace, labelSelector })).items.filter(
      each => !each.metadata.deletionTimestamp,
    );
  /** Asks until both have answered, so that the rules are there; then they answer in turn. */
  async function alternate(ask: () => Promise<string>): Promise<string[]> {
    await eventually('both answer', async () => {
      const first = await ask();
      return (await ask()) !== first;
    });
    const answers: string[] = [];
    for (let i = 0; i < 6; i++) answers.push((await ask()).trim());
    expect(answers.filter((each, index) => each !== answers[index % 2])).toEqual([]);
    return [...new Set(answers)].sort();
  }

  it('pv, dns: a claim finds no volume that is large enough and gets one of its own; so does that of the DNS server', async () => {
    await apply(
      'minik8s-a/pv/persistent_volume.yaml',
      'minik8s-a/pv/persistent_volume_claim.yaml',
      'minik8s-a/pv/pod_for_pv.yaml',
      'minik8s-a/dns/dns_pvc.yaml',
      'minik8s-a/dns/dns_nginx.yaml',
    );
    await pod('pv-pod');
    await pod('dns-nginx');
    for (const name of ['pvc', 'my-dns']) {
      const { status } = await minik8s.client.get(PersistentVolumeClaim, { namespace: 'default', name });
      expect(status).toMatchObject({ phase: 'Bound', capacity: { storage: '8Gi' } });
    }
    await clear();
  }, 120_000);

  it('what must wait is listed with its reason', async () => {
    await apply(...Object.keys(expected).filter(name => 'waits' in expected[name]!));
  });

  it("B's pods and services: round robin, localhost, a shared volume, flame apart from ice", {
    timeout: 90_000,
  }, async () => {
    await apply(
      'minik8s-b/pod/success-failure.yaml',
      ...['network-test', 'volume-arg-test', 'schedule/myapp-schedule-flame', 'schedule/myapp-schedule-ice'].map(
        name => `minik8s-b/pod/${name}.yaml`,
      ),
      ...['pod1', 'pod2', 'service', 'debugger'].map(name => `minik8s-b/svc/${name}.yaml`),
    );
    await Promise.all(['network-test-1', 'network-test-2', 'network-test-debugger'].map(pod));
    const [host, port] = await service('notices', 2);
    expect(await alternate(() => minik8s.ask(host, port))).toEqual(['1', '2']);
    expect(await alternate(() => minik8s.askFrom('network-test-debugger', `http://${host}:${port}/`))).toEqual([
      '1',
      '2',
    ]);
    await minik8s.client.delete(Pod, { namespace: 'default', name: 'network-test-1' }, { gracePeriodSeconds: 1 });
    await service('notices', 1);
    await eventually('only the other', async () => {
      const answers = [await minik8s.ask(host, port), await minik8s.ask(host, port)];
      return answers.every(each => each.trim() === '2');
    });

    expect(await podAnswers('network-test', 80)).toBe('1\n');
    if (!rootless) {
      const there = await minik8s.askFrom('network-test', 'http://localhost/', { container: 'debug-server' });
      expect(there).toBe('1\n');
    }
    await pod('arg-volume-test');
    const file = `${minik8s.at('/share')}/file`;
    const wrote = await minik8s.exec('arg-volume-test', ['sh', '-c', `echo shared > ${file}`], {
      container: 'debug-server-write',
    });
    expect(wrote).toMatchObject({ code: 0, err: '' });
    const read = await minik8s.exec('arg-volume-test', ['cat', file], { container: 'debug-server-read' });
    expect(read).toMatchObject({ code: 0, out: 'shared\n' });

    const [flame, ice] = await Promise.all(['myapp-schedule-flame', 'myapp-schedule-ice'].map(pod));
    expect(flame!.spec.nodeName).not.toBe(ice!.spec.nodeName);
    expect(await podAnswers('myapp-schedule-flame', 80)).toContain('Welcome');
    await clear('succeed-failure');
  });

  it("A's servers: a port of the pod, of the machine, of the node, and a service; files between containers", {
    timeout: 90_000,
  }, async () => {
    const files = [
      'network_pod_test',
      'normal_pod',
      'volumn_pod_test',
      'service/pod',
      'service/pod2',
      'service/service_clusterIP',
      'service/service_clusterIP2',
      'service/service_nodeport',
    ];
    await apply(...files.map(name => `minik8s-a/${name}.yaml`));
    const network = await pod('network-pod');
    const python = await minik8s.exec('network-pod', ['python', '-c', 'import sys; print(sys.version_info[0])']);
    expect(python).toMatchObject({ code: 0, out: '3\n' });
    expect(await podAnswers('network-pod', 7_080)).toContain('Directory listing');
    expect(await answer(minik8s.machineOf(network.spec.nodeName), 7_080)).toContain('Directory listing');
    expect(await podAnswers('normal-pod', 8_000)).toBe('\n');
    await pod('service-web-pod');
    const example = await pod('example-pod');
    expect(await answer(...(await service('myservice-clusterip', 3)))).toContain('Directory listing');
    expect(await answer('127.0.0.1', 10_000)).toContain('Directory listing');

    const url = encodeURIComponent(`http://${network.status.podIP}:7080/`);
    expect(await podAnswers('example-pod', 3_000, `/download?url=${url}`)).toBe('index.html\n');
    expect(await answer(minik8s.machineOf(example.spec.nodeName), 3_000)).toBe('index.html\n');
    const fetched = await minik8s.exec('example-pod', ['cat', `${minik8s.at('/data')}/index.html`], {
      container: 'webserver',
    });
    expect(fetched.out).toContain('Directory listing');

    // Its folder is one of its author's machine, and its program fetches packages from the internet: it says the first.
    await minik8s.pod('service-pod2', ({ status }) => {
      const waiting = status.containerStatuses?.[0]?.state?.waiting;
      const said = `${waiting?.message} ${status.conditions?.map(({ message }) => message).join(' ')}`;
      return status.phase === 'Pending' && said.includes('/root/minik8s/examples does not exist');
    });
    const [host, port] = await service('myservice-clusterip2', 0);
    // Without root a relay listens at the address: it hangs up where the kernel refuses.
    await expect(minik8s.ask(host, port)).rejects.toThrow(/refused|ECONNREFUSED|ECONNRESET|hang up/);
    await clear('succeed-failure');
  });

  it("A's replica sets: one in a namespace of its own, one spread over nodes behind a service", {
    timeout: 90_000,
  }, async () => {
    const files = ['replicaset', 'replica_distribute', 'service_clusterIP'];
    await apply(...files.map(name => `minik8s-a/replicaset/${name}.yaml`));
    await ready('replica', 3, 'replica-namespace');
    for (const { status } of await labelled('app=replica-app', 'replica-namespace')) {
      expect(await answer(status.podIP!, 8_080)).toBe('\n');
    }
    await ready('replica-distribute', 2);
    const spread = await labelled('app=replica-distribute-app');
    expect(new Set(spread.map(({ spec }) => spec.nodeName)).size).toBe(2);
    const [host, port] = await service('replicaservice-clusterip', 2);
    const answers = await Promise.all(Array.from({ length: 4 }, () => answer(host, port)));
    for (const text of answers) expect(text).toContain('fib(30) = 832040');
    for (const { spec } of spread) expect(await answer(minik8s.machineOf(spec.nodeName), 7_080)).toContain('fib(30)');
    await clear('succeed-failure');
  });

  it("B's set adopts the pod that is there; two worlds behind one address, a new one behind another", {
    timeout: 90_000,
  }, async () => {
    await apply(
      ...['notice-server', 'myapp-replicas', 'service'].map(name => `minik8s-b/replica/${name}.yaml`),
      ...['world1', 'world2', 'new_world', 'service-world', 'service-new-world', 'debugger'].map(
        name => `minik8s-b/dns/${name}.yaml`,
      ),
    );
    await ready('myapp-replicas', 3);
    const adopted = await minik8s.client.get(Pod, { namespace: 'default', name: 'network-test-1' });
    expect(adopted.metadata.ownerReferences?.[0]).toMatchObject({ kind: 'ReplicaSet', name: 'myapp-replicas' });
    const [host, port] = await service('rs-service', 3);
    const seen = new Set<string>();
    await eventually('the adopted one and the nginx ones answer', async () => {
      seen.add((await minik8s.ask(host, port)).trim() === 'hello-rs' ? 'adopted' : 'made');
      return seen.size === 2;
    });
    await minik8s.client.delete(Pod, { namespace: 'default', name: 'network-test-1' }, { gracePeriodSeconds: 1 });
    await eventually('three again', async () => {
      const now = await labelled('app=rs-app');
      return now.length === 3 && now.every(each => isReady(each) && each.metadata.name !== 'network-test-1');
    });

    const worlds = await service('dns-world', 2);
    expect(await alternate(() => minik8s.ask(...worlds))).toEqual(['world 1', 'world 2']);
    expect((await answer(...(await service('dns-new-world', 1)))).trim()).toBe('new world');
    await pod('dns-network-test-debugger');
    const [newHost, newPort] = await service('dns-new-world', 1);
    const inside = await minik8s.askFrom('dns-network-test-debugger', `http://${newHost}:${newPort}/`);
    expect(inside.trim()).toBe('new world');
    await clear('succeed-failure');
  });

  it('a program that ends has ended, within its limits', { timeout: 60_000 }, async () => {
    const { spec, status } = await minik8s.pod('succeed-failure', each => each.status.phase === 'Succeeded', {
      timeoutMs: 50_000,
    });
    expect(spec.restartPolicy).toBe('OnFailure');
    expect(spec.containers[0]!.resources?.limits).toEqual({ cpu: '100m', memory: '200M' });
    const { exitCode, startedAt, finishedAt } = status.containerStatuses![0]!.state!.terminated!;
    expect(exitCode).toBe(0);
    const seconds = (Date.parse(finishedAt!) - Date.parse(startedAt!)) / 1_000;
    expect(Math.abs(seconds - 30)).toBeLessThanOrEqual(2);
  });

  it("B's autoscaled sets run, their service answers, the autoscalers are kept; its nodes are declared", {
    timeout: 90_000,
  }, async () => {
    await clear();
    await apply(
      ...['myapp-cpu', 'myapp-mem', 'service', 'hpa-cpu-up', 'hpa-mem-down'].map(name => `minik8s-b/hpa/${name}.yaml`),
      ...['master', 'worker1', 'worker2', 'worker3'].map(name => `minik8s-b/node/${name}.yaml`),
    );
    // Both sets select by the same label; each keeps to the pods that it owns.
    await Promise.all([ready('myapp-replicas', 3), ready('myapp-replicas-memory', 3)]);
    expect((await answer(...(await service('notices', 3)))).trim()).toBe('1');
    const scaler = await minik8s.client.get(HorizontalPodAutoscaler, { namespace: 'default', name: 'hpa-cpu-up' });
    expect(scaler.spec.metrics).toHaveLength(2);
    expect(scaler.spec.behavior?.scaleUp?.policies).toEqual([{ type: 'Pods', value: 1, periodSeconds: 15 }]);
    const worker = await minik8s.client.get(Node, { name: 'worker1' });
    expect(worker.metadata.annotations?.['minik8s.orbitkit.dev/address']).toBe('127.0.0.1');
    await clear();
  });

  it('every file has been tried, and every one that is there has its line', () => {
    const there = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(each => each.isFile() && /\.(ya?ml|json)$/.test(each.name))
      .map(each => relative(folder, join(each.parentPath, each.name)))
      .sort();
    expect(there).toEqual(Object.keys(expected).sort());
    expect([...tested].sort()).toEqual(there);
  });
}
