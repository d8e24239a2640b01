/** The other informers, as the fault matrix tries them; from `ci/`, so `cd ci && npm ci` first. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  behave,
  type Subject,
  type SubjectRequest,
  type Told,
} from '../../packages/informer/src/testing/faults/subject.js';
import { testCertificate } from '../../packages/informer/src/testing/faults/test-certificate.js';

const require = createRequire(resolve('ci/package.json'));
const configmaps = '/api/v1/namespaces/default/configmaps';

const caData = Buffer.from(testCertificate.cert).toString('base64');
/** client-node speaks plain HTTP only to whom it need not trust. */
const trust = (server: string) => (server.startsWith('https:') ? { caData } : { skipTLSVerify: true });

const config = (server: string) => ({
  clusters: [{ name: 'faulty', server, ...trust(server) }],
  users: [{ name: 'nobody' }],
  contexts: [{ name: 'faulty', cluster: 'faulty', user: 'nobody' }],
  currentContext: 'faulty',
});

const told = (what: Told['what'], object: any): Told => ({
  what,
  name: object.metadata.name,
  value: object.data?.value ?? '',
  uid: object.metadata.uid,
});

/** `@kubernetes/client-node`: as its examples show it; with an error handler, since without one an error ends the process. */
export const clientNode: Subject = async ({ server, manner, report, reportSlow }) => {
  const k8s = require('@kubernetes/client-node');
  const kubeconfig = new k8s.KubeConfig();
  kubeconfig.loadFromOptions(config(server));
  const api = kubeconfig.makeApiClient(k8s.CoreV1Api);
  const list = () => api.listNamespacedConfigMap({ namespace: 'default' });
  const informer = k8s.makeInformer(kubeconfig, configmaps, list);
  for (const what of ['add', 'update', 'delete'] as const) {
    if (manner !== 'reports') informer.on(what, (object: any) => behave(manner, told(what, object), reportSlow));
    informer.on(what, (object: any) => report(told(what, object)));
  }
  informer.on('error', () => {});
  informer.start().catch(() => {});
  return { stop: () => informer.stop(), startAgain: () => informer.start() };
};

/** `kubernetes-fluent-client`: its watcher has one callback and no update of its own kind. */
export const fluentClient: Subject = async ({ server, manner, report, reportSlow }: SubjectRequest) => {
  const file = join(mkdtempSync(join(tmpdir(), 'orbitkit-faults-')), 'kubeconfig');
  const { clusters, users, contexts, currentContext } = config(server);
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': currentContext,
      clusters: clusters.map(({ name }) => ({
        name,
        cluster: server.startsWith('https:')
          ? { server, 'certificate-authority-data': caData }
          : { server, 'insecure-skip-tls-verify': true },
      })),
      users: users.map(({ name }) => ({ name, user: {} })),
      contexts: contexts.map(({ name, cluster, user }) => ({ name, context: { cluster, user } })),
    }),
  );
  process.env['KUBECONFIG'] = file;
  const { K8s, kind } = await import(pathToFileURL(require.resolve('kubernetes-fluent-client')).href);
  const whats = { ADDED: 'add', MODIFIED: 'update', DELETED: 'delete' } as Record<string, Told['what']>;
  const watcher = K8s(kind.ConfigMap)
    .InNamespace('default')
    .Watch((object: any, phase: string) => {
      const change = told(whats[phase]!, object);
      report(change);
      return manner === 'reports' ? undefined : behave(manner, change, reportSlow);
    });
  watcher.start().catch(() => {});
  return { stop: () => watcher.close(), startAgain: () => watcher.start() };
};
