/** Workloads run, are reached, and are kept running: with every component in one process, and with each as its own process over HTTPS. */
import { ConfigMap, Deployment, Node, Pod, ReplicaSet, Secret, Service } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, layouts, startCluster, type TestCluster } from './cluster.js';
import {
  ask,
  echoContainer,
  echoDeployment,
  ended,
  isReady,
  namesOf,
  podOf,
  podsOf,
  readyPods,
  running,
  serviceOf,
  serviceReaches,
  serviceUrl,
  shellContainer,
  tally,
} from './manifests.js';

const namespace = 'default';
const timing = { nodeGrace: 5, eviction: 1, heartbeat: 1 };

describe.each(layouts)('a cluster in %s', layout => {
  let cluster: TestCluster;
  beforeAll(async () => {
    cluster = await startCluster({ layout, timing });
  });
  afterAll(() => cluster?.stop(), 90_000);

  const containerOf = async (name: string) =>
    (await cluster.client.get(Pod, { namespace, name })).status?.containerStatuses?.[0];

  it('spreads a deployment over the nodes, and a service answers round robin from the host and from a pod', async () => {
    await cluster.client.create(Deployment, echoDeployment('web', 3));
    await cluster.client.create(Service, serviceOf('web'));
    const pods = await readyPods(cluster, 'web', 3);
    expect(new Set(pods.map(pod => pod.spec?.nodeName)).size).toBe(2);
    expect(new Set(pods.map(pod => pod.status?.podIP)).size).toBe(3);
    await eventually('the deployment says so', async () => {
      const { status } = await cluster.client.get(Deployment, { namespace, name: 'web' });
      return status?.readyReplicas === 3 && status.availableReplicas === 3;
    });

    const url = await serviceUrl(cluster, 'web');
    await serviceReaches(url, namesOf(pods));
    const fromHost: string[] = [];
    for (let request = 0; request < 30; request += 1) fromHost.push(await ask(url));
    const client = `let n = 30; const next = () => n-- && fetch('${url}', { headers: { connection: 'close' } }).then(r => r.text()).then(t => { process.stdout.write(t); next(); }); next();`;
    const ran = await cluster.exec(namesOf(pods)[0]!, [process.execPath, '-e', client]);
    expect(ran).toMatchObject({ code: 0, err: '' });
    for (const answers of [fromHost, ran.out.trim().split('\n')]) {
      expect(answers).toHaveLength(30);
      const counts = tally(answers);
      expect(Object.keys(counts).sort()).toEqual(namesOf(pods));
      for (const count of Object.values(counts)) expect(Math.abs(count - 10)).toBeLessThanOrEqual(1);
    }
  }, 60_000);

  it('sends nothing to a pod that is not ready, and sends to it again when it is', async () => {
    const readinessProbe = {
      exec: { command: ['sh', '-c', 'test ! -e $HOME/unready'] },
      periodSeconds: 1,
      failureThreshold: 1,
    };
    await cluster.client.create(Deployment, echoDeployment('probed', 2, { readinessProbe }));
    await cluster.client.create(Service, serviceOf('probed'));
    const names = namesOf(await readyPods(cluster, 'probed', 2));
    const url = await serviceUrl(cluster, 'probed');
    await serviceReaches(url, names);
    expect(await cluster.exec(names[0]!, ['sh', '-c', 'touch $HOME/unready'])).toMatchObject({ code: 0 });
    await serviceReaches(url, [names[1]!]);
    const answers: string[] = [];
    for (let request = 0; request < 20; request += 1) answers.push(await ask(url));
    expect(tally(answers)).toEqual({ [names[1]!]: 20 });
    await cluster.exec(names[0]!, ['sh', '-c', 'rm $HOME/unready']);
    await serviceReaches(url, names);
    await cluster.client.delete(Deployment, { namespace, name: 'probed' }, { propagationPolicy: 'Background' });
  }, 60_000);

  it('restarts a killed container in place, and replaces a deleted pod', async () => {
    const [first, second] = await readyPods(cluster, 'web', 3);
    const name = first!.metadata.name;
    const found = cluster.podProcess(name);
    expect(found?.command).toContain('echo');
    process.kill(found!.pid, 'SIGKILL');
    const status = await eventually('the container runs again', async () => {
      const container = await containerOf(name);
      if (container?.restartCount !== 1 || !container.ready) throw new Error(JSON.stringify(container));
      return container;
    });
    expect(status.lastState?.terminated).toMatchObject({ exitCode: 137 });
    expect(cluster.podProcess(name)?.pid).not.toBe(found!.pid);

    await cluster.client.delete(Pod, { namespace, name: second!.metadata.name });
    const names = namesOf(await readyPods(cluster, 'web', 3));
    expect(names).toContain(name);
    expect(names).not.toContain(second!.metadata.name);
    expect(cluster.podProcess(second!.metadata.name)).toBeUndefined();
    await serviceReaches(await serviceUrl(cluster, 'web'), names);
  }, 60_000);

  it('adopts a pod that fits, releases one that is relabelled, and replaces one that failed', async () => {
    const script = shellContainer('trap "exit 0" TERM; while :; do sleep 0.2; test ! -e $HOME/fail || exit 3; done');
    const template = {
      metadata: { labels: { app: 'adopt' } },
      spec: { containers: [script], terminationGracePeriodSeconds: 2 },
    };
    await cluster.client.create(Pod, podOf('early', script, { restartPolicy: 'Never' }, { app: 'adopt' }));
    await running(cluster, 'early');
    const set = await cluster.client.create(ReplicaSet, {
      metadata: { name: 'adopt', namespace },
      spec: { replicas: 3, selector: { matchLabels: { app: 'adopt' } }, template },
    });
    const adopted = await readyPods(cluster, 'adopt', 3);
    expect(namesOf(adopted)).toContain('early');
    for (const pod of adopted) {
      expect(pod.metadata.ownerReferences).toMatchObject([
        { kind: 'ReplicaSet', uid: set.metadata.uid, controller: true },
      ]);
    }

    const released = adopted.find(pod => pod.metadata.name !== 'early')!.metadata.name;
    await cluster.client.patch(
      Pod,
      { namespace, name: released },
      { type: 'merge', patch: { metadata: { labels: { app: 'free' } } } },
    );
    const after = await readyPods(cluster, 'adopt', 3);
    expect(namesOf(after)).not.toContain(released);
    await eventually('the pod is released', async () => {
      const pod = await cluster.client.get(Pod, { namespace, name: released });
      return (pod.metadata.ownerReferences ?? []).length === 0 && isReady(pod);
    });

    await cluster.exec('early', ['sh', '-c', 'touch $HOME/fail']);
    await eventually('the failed pod is replaced', async () => {
      const pods = await podsOf(cluster, 'adopt');
      const ready = namesOf(pods.filter(isReady));
      if (ready.length !== 3 || ready.includes('early')) throw new Error(namesOf(pods).join());
    });
    await cluster.client.delete(ReplicaSet, { namespace, name: 'adopt' }, { propagationPolicy: 'Foreground' });
    await eventually('the set and its pods are gone', async () => (await podsOf(cluster, 'adopt')).length === 0);
    expect((await cluster.client.get(Pod, { namespace, name: released })).status?.phase).toBe('Running');
    await cluster.client.delete(Pod, { namespace, name: released });
  }, 90_000);

  it('gives containers configuration, secrets and their own fields, after the init containers', async () => {
    await cluster.client.create(ConfigMap, { metadata: { name: 'words', namespace }, data: { greeting: 'hello' } });
    await cluster.client.create(Secret, { metadata: { name: 'key', namespace }, stringData: { token: 's3cret' } });
    const main = shellContainer(
      'echo "$GREETING $TOKEN $POD_NAME $(cat $ORBIT_ROOT/shared/made) $(cat $ORBIT_ROOT/words/greeting)"',
      {
        env: [
          { name: 'GREETING', valueFrom: { configMapKeyRef: { name: 'words', key: 'greeting' } } },
          { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'key', key: 'token' } } },
          { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
        ],
        volumeMounts: [
          { name: 'shared', mountPath: '/shared' },
          { name: 'words', mountPath: '/words' },
        ],
      },
    );
    const init = shellContainer('sleep 0.5; echo first > $ORBIT_ROOT/shared/made', {
      name: 'init',
      volumeMounts: [{ name: 'shared', mountPath: '/shared' }],
    });
    await cluster.client.create(
      Pod,
      podOf('configured', main, {
        restartPolicy: 'Never',
        initContainers: [init],
        volumes: [
          { name: 'shared', emptyDir: {} },
          { name: 'words', configMap: { name: 'words' } },
        ],
      }),
    );
    const pod = await ended(cluster, 'configured');
    expect(pod.status?.phase).toBe('Succeeded');
    expect(pod.status?.initContainerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 0,
      reason: 'Completed',
    });
    expect(await cluster.orbit(['logs', 'configured'])).toEqual({
      code: 0,
      out: 'hello s3cret configured first hello\n',
      err: '',
    });
  }, 60_000);

  it('restarts what failed under OnFailure, and nothing under Never', async () => {
    const twice = shellContainer('test -e $ORBIT_ROOT/kept/ran && exit 0; touch $ORBIT_ROOT/kept/ran; exit 4', {
      volumeMounts: [{ name: 'kept', mountPath: '/kept' }],
    });
    await cluster.client.create(
      Pod,
      podOf('again', twice, { restartPolicy: 'OnFailure', volumes: [{ name: 'kept', emptyDir: {} }] }),
    );
    await cluster.client.create(Pod, podOf('once', shellContainer('exit 5'), { restartPolicy: 'Never' }));
    const once = await ended(cluster, 'once');
    expect(once.status).toMatchObject({
      phase: 'Failed',
      containerStatuses: [{ restartCount: 0, state: { terminated: { exitCode: 5, reason: 'Error' } } }],
    });
    const again = await ended(cluster, 'again', 45_000);
    expect(again.status).toMatchObject({
      phase: 'Succeeded',
      containerStatuses: [
        { restartCount: 1, state: { terminated: { exitCode: 0 } }, lastState: { terminated: { exitCode: 4 } } },
      ],
    });
  }, 60_000);

  it('follows logs as they come, and exec ends with the exit code of the command', async () => {
    const counting = shellContainer('i=0; while [ $i -lt 6 ]; do i=$((i+1)); echo line $i; sleep 0.3; done');
    await cluster.client.create(Pod, podOf('counting', counting, { restartPolicy: 'Never' }));
    await eventually('it has started', async () => (await containerOf('counting'))?.state?.waiting === undefined);
    const followed = await cluster.orbit(['logs', '-f', 'counting']);
    expect(followed).toMatchObject({ code: 0, out: 'line 1\nline 2\nline 3\nline 4\nline 5\nline 6\n' });

    const [pod] = namesOf(await readyPods(cluster, 'web', 3));
    const ran = await cluster.orbit(['exec', pod!, '--', 'sh', '-c', 'echo out; echo err >&2; exit 7']);
    expect(ran).toMatchObject({ code: 7, out: 'out\n' });
    expect(ran.err).toContain('err\n');
    expect(await cluster.orbit(['exec', '-i', pod!, '--', 'cat'], { input: 'through\n' })).toMatchObject({
      code: 0,
      out: 'through\n',
    });
  }, 60_000);

  if (layout === 'own processes') {
    it('goes on after the API server was killed and started again', async () => {
      const before = await readyPods(cluster, 'web', 3);
      const url = await serviceUrl(cluster, 'web');
      await cluster.kill('apiserver');
      const answers = await Promise.all(Array.from({ length: 6 }, () => ask(url)));
      expect(new Set(answers).size).toBe(3);
      await cluster.start('apiserver');
      expect(namesOf(await readyPods(cluster, 'web', 3))).toEqual(namesOf(before));
      await cluster.client.patch(
        Deployment,
        { namespace, name: 'web' },
        { type: 'merge', patch: { spec: { replicas: 4 } } },
      );
      await serviceReaches(url, namesOf(await readyPods(cluster, 'web', 4, 45_000)));
      for (const { metadata, status } of before) {
        const now = await cluster.client.get(Pod, { namespace, name: metadata.name });
        expect(now.status?.containerStatuses?.[0]?.restartCount).toBe(status?.containerStatuses?.[0]?.restartCount);
      }
    }, 90_000);

    it('goes on after the controllers and the scheduler were killed and started again', async () => {
      await cluster.kill('controller-manager');
      await cluster.kill('scheduler');
      const [victim] = await readyPods(cluster, 'web', 4);
      await cluster.client.delete(Pod, { namespace, name: victim!.metadata.name });
      await eventually('the pod is gone', async () => (await podsOf(cluster, 'web')).length === 3);
      await cluster.start('controller-manager');
      await cluster.start('scheduler');
      await readyPods(cluster, 'web', 4, 45_000);
    }, 90_000);

    it("runs a lost node's pods elsewhere, and the node comes back", async () => {
      const url = await serviceUrl(cluster, 'web');
      const lost = (await readyPods(cluster, 'web', 4)).filter(pod => pod.spec?.nodeName === 'n2');
      expect(lost.length).toBeGreaterThan(0);
      const began = performance.now();
      await cluster.kill('n2');
      await eventually('the node is seen as lost', async () => {
        const node = await cluster.client.get(Node, { name: 'n2' });
        return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'Unknown') ?? false;
      });
      const detected = performance.now() - began;
      const moved = await eventually('its pods run elsewhere', async () => {
        const ready = (await podsOf(cluster, 'web')).filter(isReady);
        if (ready.length !== 4 || ready.some(pod => pod.spec?.nodeName !== 'n1'))
          throw new Error(namesOf(ready).join());
        return ready;
      });
      const rescheduled = performance.now() - began;
      console.log(
        `lost node (grace ${timing.nodeGrace} s, eviction ${timing.eviction} s): detected after ${Math.round(detected)} ms, its pods ready elsewhere after ${Math.round(rescheduled)} ms`,
      );
      expect(detected).toBeGreaterThan((timing.nodeGrace - timing.heartbeat) * 1_000 - 500);
      await serviceReaches(url, namesOf(moved));

      await cluster.start('n2');
      await eventually('what ran on the lost node is ended', async () => {
        if (lost.some(pod => cluster.podProcess(pod.metadata.name))) throw new Error('processes are left');
        if ((await podsOf(cluster, 'web')).length !== 4) throw new Error('pods are left');
      });
      await cluster.client.create(
        Pod,
        podOf('back', echoContainer(), { nodeSelector: { 'kubernetes.io/hostname': 'n2' } }),
      );
      expect((await running(cluster, 'back')).spec?.nodeName).toBe('n2');
    }, 120_000);
  }
});
