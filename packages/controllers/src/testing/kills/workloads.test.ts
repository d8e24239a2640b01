/** The built-in controllers of workloads, killed at every step. */
import {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  type DynamicObject,
  findCondition,
  Job,
  Node,
  PersistentVolumeClaim,
  Pod,
  ReplicaSet,
  StatefulSet,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { cronJobs } from '../../builtin/cron-job/cron-jobs.js';
import { daemonSets } from '../../builtin/daemon-set/daemon-sets.js';
import { deployments } from '../../builtin/deployment/deployments.js';
import { jobs } from '../../builtin/job/jobs.js';
import { replicaSets } from '../../builtin/replica-set/replica-sets.js';
import { statefulSets } from '../../builtin/stateful-set/stateful-sets.js';
import { controller } from '../../controller-builder.js';
import { playedPods } from '../played-pods.js';
import { killEverywhere } from './kill-everywhere.js';

const namespace = 'default';
const labels = { app: 'web' };
const selector = { matchLabels: labels };
const template = (image = 'a') => ({ metadata: { labels }, spec: { containers: [{ name: 'main', image }] } });
const key = { name: 'web', namespace };
const imagePatch = (image: string) => ({
  type: 'strategic' as const,
  patch: { spec: { template: { spec: { containers: [{ name: 'main', image }] } } } },
});
const minuteMs = 120_000;

/** Which pod got which address is chance. */
function withoutAddresses(object: DynamicObject): DynamicObject {
  delete object['status']?.podIP;
  delete object['status']?.podIPs;
  return object;
}

it('a ReplicaSet goes up and down', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [replicaSets()],
    others: () => [playedPods()],
    kinds: [ReplicaSet, Pod],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      await client.create(ReplicaSet, { metadata: key, spec: { replicas: 3, selector, template: template() } });
      await until(async () => (await client.get(ReplicaSet, key)).status?.readyReplicas === 3);
      await client.patch(ReplicaSet, key, { type: 'merge', patch: { spec: { replicas: 1 } } });
      await until(async () => (await client.get(ReplicaSet, key)).status?.replicas === 1);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(7);
});

it('a Deployment rolls out', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [deployments(), replicaSets()],
    others: () => [playedPods()],
    kinds: [Deployment, ReplicaSet, Pod],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      const done = async () => {
        const { metadata, spec, status } = await client.get(Deployment, key);
        if (status.observedGeneration !== metadata.generation) return false;
        return status.updatedReplicas === spec.replicas && status.replicas === 2 && status.availableReplicas === 2;
      };
      await client.create(Deployment, { metadata: key, spec: { replicas: 2, selector, template: template() } });
      await until(done);
      await client.patch(Deployment, key, imagePatch('b'));
      await until(done);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(15);
});

it('a StatefulSet starts in order and is updated, with a claim for each pod', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [statefulSets()],
    others: () => [playedPods()],
    kinds: [StatefulSet, Pod, ControllerRevision, PersistentVolumeClaim],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      const done = async () => {
        const { metadata, status } = await client.get(StatefulSet, key);
        if (status?.observedGeneration !== metadata.generation) return false;
        return status?.readyReplicas === 2 && status.updatedReplicas === 2;
      };
      const claim = {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      };
      await client.create(StatefulSet, {
        metadata: key,
        spec: { replicas: 2, serviceName: 'web', selector, template: template(), volumeClaimTemplates: [claim] },
      } as never);
      await until(done);
      await client.patch(StatefulSet, key, imagePatch('b'));
      await until(done);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(10);
});

it('a DaemonSet covers its nodes and is updated', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [daemonSets()],
    others: () => [playedPods({ nodeName: 'n1' })],
    kinds: [DaemonSet, Pod, ControllerRevision],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      const done = async () => {
        const { metadata, status } = await client.get(DaemonSet, key);
        if (status?.observedGeneration !== metadata.generation) return false;
        return status?.numberReady === 1 && status.updatedNumberScheduled === 1;
      };
      await client.create(Node, { metadata: { name: 'n1' } });
      await client.create(DaemonSet, { metadata: key, spec: { selector, template: template() } });
      await until(done);
      await client.patch(DaemonSet, key, imagePatch('b'));
      await until(done);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(6);
});

/** Lets pods that run end well. */
const endings = () =>
  controller(Pod)
    .named('endings')
    .reconcile(async ({ object: pod, client }) => {
      if (pod.status.phase !== 'Running' || pod.metadata.deletionTimestamp) return;
      const time = pod.metadata.creationTimestamp;
      const state = { terminated: { exitCode: 0, startedAt: time, finishedAt: time } };
      const main = { name: 'main', image: 'a', imageID: '', ready: false, restartCount: 0, state };
      await client.updateStatus(Pod, {
        ...pod,
        status: { ...pod.status, phase: 'Succeeded', containerStatuses: [main] },
      });
    });

it('an indexed Job completes each index once', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [jobs()],
    others: () => [playedPods(), endings()],
    kinds: [Job, Pod],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      const pods = { spec: { ...template().spec, restartPolicy: 'Never' as const } };
      await client.create(Job, {
        metadata: key,
        spec: { completions: 3, parallelism: 2, completionMode: 'Indexed', template: pods },
      });
      await until(async () => findCondition((await client.get(Job, key)).status.conditions, 'Complete'));
    },
  });
  expect(kills).toBeGreaterThanOrEqual(10);
});

it('a CronJob starts one Job, and no second beside it', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [cronJobs()],
    kinds: [CronJob, Job],
    stepMs: 5_000,
    // Its name is its minute.
    normalise: object => JSON.parse(JSON.stringify(object).replaceAll(/web-\d+/g, 'web-<minute>')),
    async scenario({ client, until }) {
      const jobTemplate = { spec: { template: { spec: { ...template().spec, restartPolicy: 'Never' as const } } } };
      const spec = { schedule: '* * * * *', concurrencyPolicy: 'Forbid' as const, jobTemplate };
      await client.create(CronJob, { metadata: key, spec });
      await until(async () => (await client.get(CronJob, key)).status?.active?.length === 1);
      const [job] = (await client.list(Job, { namespace })).items;
      const time = job!.metadata.creationTimestamp;
      const conditions = ['SuccessCriteriaMet', 'Complete'].map(type => ({
        type,
        status: 'True',
        lastTransitionTime: time,
      }));
      await client.patch(CronJob, key, { type: 'merge', patch: { spec: { suspend: true } } });
      await client.updateStatus(Job, { ...job!, status: { startTime: time, completionTime: time, conditions } });
      await until(async () => (await client.get(CronJob, key)).status?.lastSuccessfulTime);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(3);
});
