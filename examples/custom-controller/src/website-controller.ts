/**
 * Makes websites so: a ConfigMap with the page, a Deployment of servers and a Service in front of them, all applied server-side and owned; the state
 * in conditions; a farewell when one is deleted.
 *
 * What is owned goes with its website by garbage collection. The finalizer is for what the cluster does not know of; here, a register of published
 * addresses that `Registry` stands for.
 */
import { createHash } from 'node:crypto';
import { type Controller, controller, type ReconcileRequest } from '@orbitkit/controllers';
import { ConfigMap, Deployment, Service } from '@orbitkit/core';
import { Website } from './website.js';

/** Something outside of the cluster. Both calls must bear to be made twice. */
export interface Registry {
  publish(name: string, url: string): Promise<void>;
  withdraw(name: string): Promise<void>;
}

/** Serves the variable PAGE: a stand-in for a real web server that needs no image of its own. */
const server =
  "require('http').createServer((q,r)=>{r.setHeader('content-type','text/html');r.end(process.env.PAGE)}).listen(+process.env.PORT,process.env.HOST)";

export function websites(registry: Registry): Controller {
  return controller(Website)
    .owns(ConfigMap)
    .owns(Deployment)
    .owns(Service)
    .concurrency(4)
    .finalizer('example.com/registry', async ({ key, object, events }) => {
      await registry.withdraw(key);
      events.event(object, 'Normal', 'Withdrawn', 'its address is no longer published');
    })
    .reconcile(request => reconcile(request, registry));
}

async function reconcile(request: ReconcileRequest<Website>, registry: Registry): Promise<void> {
  const { object: website, key, apply, events, read, reportStatus } = request;
  const { html, port, replicas, tier } = website.spec;
  const name = website.metadata.name;
  const labels = { 'app.kubernetes.io/name': name, 'app.kubernetes.io/managed-by': 'website' };

  await apply(ConfigMap, { metadata: { name, labels }, data: { page: html } });
  await apply(Service, { metadata: { name, labels }, spec: { selector: labels, ports: [{ port }] } });
  const deployment = await apply(Deployment, {
    metadata: { name, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        // Another page is another template: the pods are replaced.
        metadata: { labels, annotations: { 'example.com/page': createHash('sha256').update(html).digest('hex') } },
        spec: {
          containers: [
            {
              name: 'server',
              image: 'docker.io/library/node:22-alpine',
              command: ['node', '-e', server],
              ports: [{ containerPort: port }],
              env: [
                { name: 'PAGE', valueFrom: { configMapKeyRef: { name, key: 'page' } } },
                { name: 'PORT', value: String(port) },
                { name: 'HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
              ],
              resources: { requests: { cpu: tier === 'large' ? '200m' : '50m', memory: '64Mi' } },
              readinessProbe: { httpGet: { path: '/', port }, periodSeconds: 1 },
            },
          ],
          terminationGracePeriodSeconds: 2,
        },
      },
    },
  });

  const { observedGeneration, updatedReplicas = 0, availableReplicas = 0, readyReplicas = 0 } = deployment.status;
  const ready =
    observedGeneration === deployment.metadata.generation &&
    updatedReplicas === replicas &&
    availableReplicas === replicas;
  const clusterIP = read(Service).get(key)?.spec.clusterIP;
  const url = clusterIP ? `http://${clusterIP}:${port}` : undefined;
  const wasReady = website.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
  if (ready && url && !wasReady) {
    await registry.publish(key, url);
    events.event(website, 'Normal', 'Published', `serves at ${url}`);
  }
  await reportStatus({
    readyReplicas,
    url,
    conditions: [
      ready
        ? { type: 'Ready', status: 'True', reason: 'Available', message: `${replicas} of ${replicas} serve` }
        : {
            type: 'Ready',
            status: 'False',
            reason: 'Progressing',
            message: `${availableReplicas} of ${replicas} serve`,
          },
    ],
  });
}
