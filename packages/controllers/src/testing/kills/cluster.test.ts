/** The built-in controllers of a cluster's housekeeping and traffic, killed at every step. */
import {
  ConfigMap,
  Deployment,
  type Draft,
  type DynamicObject,
  EndpointSlice,
  Endpoints,
  HorizontalPodAutoscaler,
  type KubeObject,
  Namespace,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  ResourceQuota,
  Secret,
  Service,
} from '@orbitkit/core';
import { expect, it } from 'vitest';
import { deployments } from '../../builtin/deployment/deployments.js';
import { podDisruptionBudgets } from '../../builtin/disruption/pod-disruption-budgets.js';
import { endpointSliceMirroring } from '../../builtin/endpoints/endpoint-slice-mirroring.js';
import { endpointSlices } from '../../builtin/endpoints/endpoint-slices.js';
import { garbageCollector } from '../../builtin/garbage-collector/garbage-collector.js';
import { horizontalPodAutoscalers } from '../../builtin/horizontal-pod-autoscaler/horizontal-pod-autoscalers.js';
import { namespaces } from '../../builtin/namespace/namespaces.js';
import { nodeIpam } from '../../builtin/node-ipam/node-ipam.js';
import { persistentVolumeBinder } from '../../builtin/persistent-volume/binder.js';
import {
  persistentVolumeClaimProtection,
  persistentVolumeProtection,
} from '../../builtin/persistent-volume/protection.js';
import { replicaSets } from '../../builtin/replica-set/replica-sets.js';
import { resourceQuotas } from '../../builtin/resource-quota/resource-quotas.js';
import { playedPods } from '../played-pods.js';
import { killEverywhere } from './kill-everywhere.js';

const namespace = 'default';
const labels = { app: 'web' };
const selector = { matchLabels: labels };
const key = { name: 'web', namespace };
const deployment = (replicas: number) => ({
  metadata: key,
  spec: {
    replicas,
    selector,
    template: { metadata: { labels }, spec: { containers: [{ name: 'main', image: 'a' }] } },
  },
});
const minuteMs = 120_000;
const workloads = () => [deployments(), replicaSets(), playedPods()];
const withoutAddresses = (object: DynamicObject): DynamicObject =>
  JSON.parse(JSON.stringify(object).replaceAll(/10\.244\.\d+\.\d+/g, '<address>'));

it('a namespace is emptied and goes', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [namespaces()],
    others: () => [playedPods()],
    kinds: [Namespace, ConfigMap, Secret, Pod],
    async scenario({ client, until }) {
      const shop = { metadata: { name: 'shop' } };
      await client.create(Namespace, shop);
      for (const name of ['a', 'b']) {
        await client.create(ConfigMap, { metadata: { name, namespace: 'shop' } });
        await client.create(Secret, { metadata: { name, namespace: 'shop' } });
      }
      await client.create(Pod, {
        metadata: { name: 'p', namespace: 'shop' },
        spec: { containers: [{ name: 'main', image: 'a' }] },
      });
      await client.delete(Namespace, shop.metadata);
      await until(async () => !(await client.list(Namespace)).items.some(({ metadata }) => metadata.name === 'shop'));
    },
  });
  expect(kills).toBeGreaterThanOrEqual(10);
});

it('what is deleted in the foreground goes after its dependents', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [garbageCollector()],
    kinds: [ConfigMap, Secret],
    async scenario({ client, until }) {
      const references = ({ metadata, apiVersion, kind }: KubeObject) => [
        { apiVersion, kind, name: metadata.name, uid: metadata.uid!, blockOwnerDeletion: true },
      ];
      const root = await client.create(ConfigMap, { metadata: { name: 'root', namespace } });
      const child = await client.create(ConfigMap, {
        metadata: { name: 'child', namespace, ownerReferences: references(root) },
      });
      for (const name of ['one', 'two']) {
        await client.create(Secret, { metadata: { name, namespace, ownerReferences: references(child) } });
      }
      await client.create(Secret, { metadata: { name: 'stranger', namespace } });
      await client.delete(ConfigMap, root.metadata, { propagationPolicy: 'Foreground' });
      await until(async () =>
        (await client.list(ConfigMap, { namespace })).items.every(({ metadata }) => metadata.name !== 'root'),
      );
    },
  });
  expect(kills).toBeGreaterThanOrEqual(5);
});

it('an autoscaler brings its target to size', { timeout: minuteMs }, async () => {
  const none = async () => new Map();
  const { kills } = await killEverywhere({
    controllers: () => [
      horizontalPodAutoscalers({
        metrics: () => ({ resource: none, pods: none, object: async () => 0, external: async () => [40_000] }),
      }),
    ],
    others: workloads,
    kinds: [HorizontalPodAutoscaler, Deployment],
    stepMs: 5_000,
    // Who dies between scaling and saying so has not said when.
    normalise(object) {
      delete object['status']?.lastScaleTime;
      return object;
    },
    async scenario({ client, until }) {
      await client.create(Deployment, deployment(1));
      await client.create(HorizontalPodAutoscaler, {
        metadata: key,
        spec: {
          scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
          maxReplicas: 5,
          metrics: [
            {
              type: 'External',
              external: { metric: { name: 'queue' }, target: { type: 'AverageValue', averageValue: '20' } },
            },
          ],
        },
      });
      await until(async () => (await client.get(HorizontalPodAutoscaler, key)).status?.currentReplicas === 2);
      await until(async () => (await client.get(Deployment, key)).status?.readyReplicas === 2);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(4);
});

it('a service finds its pods', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [endpointSlices()],
    others: workloads,
    kinds: [EndpointSlice, Pod],
    normalise: withoutAddresses,
    async scenario({ client, until }) {
      const ready = async (count: number) => {
        const { items } = await client.list(EndpointSlice, {
          namespace,
          labelSelector: 'kubernetes.io/service-name=web',
        });
        const endpoints = items.flatMap(slice => slice.endpoints ?? []);
        return endpoints.length === count && endpoints.every(({ conditions }) => conditions?.ready);
      };
      await client.create(Deployment, deployment(2));
      await client.create(Service, { metadata: key, spec: { selector: labels, ports: [{ port: 80 }] } });
      await until(() => ready(2));
      await client.patch(Deployment, key, { type: 'merge', patch: { spec: { replicas: 1 } } });
      await until(() => ready(1));
    },
  });
  expect(kills).toBeGreaterThanOrEqual(2);
});

it('what people write as Endpoints is mirrored', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [endpointSliceMirroring()],
    kinds: [EndpointSlice, Endpoints],
    async scenario({ client, until }) {
      const mirrored = async () =>
        (await client.list(EndpointSlice, { namespace, labelSelector: 'kubernetes.io/service-name=web' })).items
          .flatMap(({ endpoints }) => endpoints.map(({ addresses }) => addresses[0]))
          .sort()
          .join();
      const at = (...ips: string[]) => ({ addresses: ips.map(ip => ({ ip })), ports: [{ port: 80 }] });
      await client.create(Service, { metadata: key, spec: { ports: [{ port: 80 }] } });
      await client.create(Endpoints, { metadata: key, subsets: [at('192.0.2.1', '192.0.2.2')] } as Draft<Endpoints>);
      await until(async () => (await mirrored()) === '192.0.2.1,192.0.2.2');
      await client.patch(Endpoints, key, { type: 'merge', patch: { subsets: [at('192.0.2.2')] } });
      await until(async () => (await mirrored()) === '192.0.2.2');
    },
  });
  expect(kills).toBeGreaterThanOrEqual(2);
});

it('nodes get their blocks, each its own', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [nodeIpam({ clusterCIDR: '10.244.0.0/22' })],
    kinds: [Node],
    // Which node gets which is chance; that no two get the same is not.
    normalise: node => JSON.parse(JSON.stringify(node).replaceAll(/10\.244\.\d\.0\/24/g, '<block>')),
    async scenario({ client, until }) {
      const blocks = async () => (await client.list(Node)).items.flatMap(({ spec }) => spec.podCIDR ?? []);
      for (const name of ['a', 'b', 'c']) await client.create(Node, { metadata: { name } });
      await until(async () => (await blocks()).length === 3);
      await client.delete(Node, { name: 'b' });
      for (const name of ['d', 'e']) await client.create(Node, { metadata: { name } });
      await until(async () => (await blocks()).length === 4);
      expect(new Set(await blocks()).size).toBe(4);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(5);
});

it('a budget counts its pods', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [podDisruptionBudgets()],
    others: workloads,
    kinds: [PodDisruptionBudget],
    async scenario({ client, until }) {
      await client.create(PodDisruptionBudget, { metadata: key, spec: { selector, maxUnavailable: 1 } });
      await client.create(Deployment, deployment(2));
      await until(async () => (await client.get(PodDisruptionBudget, key)).status?.disruptionsAllowed === 1);
    },
  });
  expect(kills).toBeGreaterThanOrEqual(2);
});

it('a claim is bound to a volume that fits, and the volume is released', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [persistentVolumeBinder(), persistentVolumeClaimProtection(), persistentVolumeProtection()],
    kinds: [PersistentVolume, PersistentVolumeClaim],
    async scenario({ client, until }) {
      const volume = (name: string, storage: string) => ({
        metadata: { name },
        spec: {
          capacity: { storage },
          accessModes: ['ReadWriteOnce'],
          storageClassName: '',
          persistentVolumeReclaimPolicy: 'Retain',
          hostPath: { path: `/nowhere/${name}` },
        },
      });
      const claim = (name: string, storage: string) => ({
        metadata: { name, namespace },
        spec: { accessModes: ['ReadWriteOnce'], storageClassName: '', resources: { requests: { storage } } },
      });
      await client.create(PersistentVolume, volume('small', '1Gi') as never);
      await client.create(PersistentVolume, volume('large', '5Gi') as never);
      await client.create(PersistentVolumeClaim, claim('wide', '2Gi') as never);
      await client.create(PersistentVolumeClaim, claim('narrow', '1Gi') as never);
      const phases = async () => (await client.list(PersistentVolume)).items.map(({ status }) => status?.phase).join();
      await until(async () => (await phases()) === 'Bound,Bound');
      await until(async () =>
        (await client.list(PersistentVolumeClaim)).items.every(({ status }) => status?.phase === 'Bound'),
      );
      await client.delete(PersistentVolumeClaim, { name: 'narrow', namespace });
      await until(async () => (await phases()) === 'Bound,Released');
    },
  });
  expect(kills).toBeGreaterThanOrEqual(6);
});

it('a quota counts what is there', { timeout: minuteMs }, async () => {
  const { kills } = await killEverywhere({
    controllers: () => [resourceQuotas()],
    kinds: [ResourceQuota],
    async scenario({ client, until }) {
      const used = async () => (await client.get(ResourceQuota, key)).status?.used?.['count/configmaps'];
      await client.create(ResourceQuota, { metadata: key, spec: { hard: { 'count/configmaps': '9' } } } as never);
      await client.create(ConfigMap, { metadata: { name: 'a', namespace } });
      await until(async () => (await used()) === '1');
      await client.delete(ConfigMap, { name: 'a', namespace });
      await until(async () => (await used()) === '0');
    },
  });
  expect(kills).toBeGreaterThanOrEqual(2);
});
