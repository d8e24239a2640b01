import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { type Authority, createAuthority, issueServingCertificate } from '@orbitkit/apiserver/pki';
import {
  ConfigMap,
  CustomResourceDefinition,
  compose,
  type DynamicObject,
  MutatingWebhookConfiguration,
  metrics,
  type ResourceRef,
  StatusError,
  ValidatingWebhookConfiguration,
} from '@orbitkit/core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestControlPlane } from '../testing/index.js';
import { type WebhookServer, webhookServer } from './webhook-server.js';

let dir: string;
let authority: Authority;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbit-hooks-'));
  authority = await createAuthority({ dir });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const caBundle = () => Buffer.from(authority.certificate).toString('base64');

/** Starts what `build` makes of a server on a free port of the loopback. */
async function serving(build: (server: WebhookServer) => WebhookServer, files?: { cert: string; key: string }) {
  const { certificate, key } = await issueServingCertificate(authority, { name: 'hooks', hosts: ['127.0.0.1'] });
  let url = '';
  const server = build(
    webhookServer({
      port: 0,
      host: '127.0.0.1',
      certificate: files ? { certificateFile: files.cert, keyFile: files.key, lookEveryMs: 20 } : { certificate, key },
      listening: at => {
        url = at;
      },
    }),
  );
  const registry = metrics();
  const composition = compose({ metrics: registry }, server);
  composition.run().catch(() => {});
  await composition.ready;
  return { server, url, metrics: registry, [Symbol.asyncDispose]: () => composition[Symbol.asyncDispose]() };
}

async function post(url: string, body: string, method = 'POST'): Promise<{ status: number; body: any }> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method, ca: authority.certificate, agent: false }, response => {
      const pieces: Buffer[] = [];
      response.on('data', piece => pieces.push(piece));
      response.on('end', () => {
        const text = Buffer.concat(pieces).toString();
        resolve({ status: response.statusCode!, body: text.startsWith('{') ? JSON.parse(text) : text });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

it('validates and mutates what an API server stores', async () => {
  const dryRuns: boolean[] = [];
  await using hooks = await serving(server =>
    server
      .validating(ConfigMap, ({ object, oldObject, operation, user, dryRun, warn, audit }) => {
        dryRuns.push(dryRun);
        warn(`${operation} by ${user.username}`);
        audit('seen', 'yes');
        if (object.data?.['bad'] === 'forbidden') throw new StatusError('Forbidden', 'not here');
        if (object.data?.['bad'] === 'bug') throw new TypeError('cannot read x');
        return oldObject && oldObject.data?.['fixed'] !== object.data?.['fixed']
          ? 'data.fixed cannot change'
          : undefined;
      })
      .mutating(ConfigMap, ({ object }) => {
        object.metadata.annotations = { 'example.com/added': 'yes' };
        object.data = { ...object.data };
        delete object.data['secret'];
      }),
  );
  expect(hooks.server.paths).toEqual(['/validate--v1-configmap', '/mutate--v1-configmap']);
  await using plane = await createTestControlPlane();
  const { client } = plane;
  const { validating, mutating } = hooks.server.configurations('hooks', { url: hooks.url, caBundle: caBundle() });
  for (const each of [validating!, mutating!]) {
    for (const webhook of each.webhooks!)
      webhook.namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'default' } };
  }
  await client.create(ValidatingWebhookConfiguration, validating!);
  await client.create(MutatingWebhookConfiguration, mutating!);
  const key = { name: 'a', namespace: 'default' };
  const made = await client.create(ConfigMap, { metadata: key, data: { fixed: '1', secret: 'x' } });
  expect([made.data, made.metadata.annotations]).toEqual([{ fixed: '1' }, { 'example.com/added': 'yes' }]);
  await expect(client.update(ConfigMap, { ...made, data: { fixed: '2' } })).rejects.toMatchObject({
    code: 403,
    message: 'admission webhook "validate.configmaps.core.orbitkit.io" denied the request: data.fixed cannot change',
  });
  await expect(client.update(ConfigMap, { ...made, data: { bad: 'forbidden' } })).rejects.toMatchObject({ code: 403 });
  await expect(client.update(ConfigMap, { ...made, data: { bad: 'bug' } })).rejects.toMatchObject({ code: 500 });
  await client.create(ConfigMap, { metadata: { ...key, name: 'b' } }, { dryRun: true });
  expect(dryRuns).toEqual([false, false, false, false, true]);
  const text = await hooks.metrics.text();
  expect(text).toContain('controller_runtime_webhook_requests_total{webhook="/validate--v1-configmap",code="200"} 5');
});

it('converts between the versions of a definition', async () => {
  const kindIn = (version: string): ResourceRef<DynamicObject> => ({
    ...{ group: 'example.com', version, kind: 'Box', plural: 'boxes', namespaced: true },
  });
  await using hooks = await serving(server =>
    server.conversion({ group: 'example.com', kind: 'Box' }, (object, apiVersion) => {
      const spec = (object as DynamicObject)['spec'];
      return {
        ...object,
        spec: apiVersion.endsWith('v2') ? { sides: { width: spec.width } } : { width: spec.sides.width },
      };
    }),
  );
  await using plane = await createTestControlPlane();
  const { client } = plane;
  const version = (name: string, storage: boolean, properties: object) => ({
    ...{ name, storage, served: true },
    schema: { openAPIV3Schema: { type: 'object', properties: { spec: { type: 'object', properties } } } },
  });
  await client.create(CustomResourceDefinition, {
    metadata: { name: 'boxes.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { kind: 'Box', plural: 'boxes' },
      versions: [
        version('v1', false, { width: { type: 'integer' } }),
        version('v2', true, { sides: { type: 'object', properties: { width: { type: 'integer' } } } }),
      ],
      conversion: {
        strategy: 'Webhook',
        webhook: {
          clientConfig: { url: `${hooks.url}/convert`, caBundle: caBundle() },
          conversionReviewVersions: ['v1'],
        },
      },
    } as never,
  });
  const key = { name: 'b', namespace: 'default' };
  await plane.eventually(() => client.create(kindIn('v1'), { metadata: key, spec: { width: 7 } } as never));
  expect((await client.get(kindIn('v2'), key))['spec']).toEqual({ sides: { width: 7 } });
  expect((await client.get(kindIn('v1'), key))['spec']).toEqual({ width: 7 });
});

it('answers the exact shapes, and what is no review with a code', async () => {
  await using hooks = await serving(server => server.validating(ConfigMap, () => 'no').mutating(ConfigMap, () => {}));
  const review = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' };
  const asked = {
    ...review,
    request: { uid: 'u', operation: 'DELETE', object: null, oldObject: { kind: 'ConfigMap' } },
  };
  const [validate, mutate] = ['/validate--v1-configmap', '/mutate--v1-configmap'].map(path => hooks.url + path);
  expect(await post(validate!, JSON.stringify(asked))).toEqual({
    status: 200,
    body: {
      ...review,
      response: { uid: 'u', allowed: false, status: { message: 'no', reason: 'Forbidden', code: 403 } },
    },
  });
  expect((await post(mutate!, JSON.stringify(asked))).body).toEqual({
    ...review,
    response: { uid: 'u', allowed: true },
  });
  expect((await post(validate!, '{')).status).toBe(400);
  expect(await post(validate!, '{}')).toEqual({
    status: 400,
    body: 'AdmissionReview of admission.k8s.io/v1 is expected',
  });
  expect((await post(validate!, JSON.stringify({ ...review, request: {} }))).status).toBe(400);
  expect((await post(`${hooks.url}/other`, '{}')).status).toBe(404);
  expect((await post(validate!, '', 'GET')).status).toBe(405);
});

it('serves a renewed certificate without a restart, and not one that does not fit', async () => {
  const files = { cert: join(dir, 'tls.crt'), key: join(dir, 'tls.key') };
  const issue = () => issueServingCertificate(authority, { name: 'renewed', hosts: ['127.0.0.1'] });
  const first = await issue();
  const write = async (certificate: string, key: string) => {
    await writeFile(files.key, key);
    await writeFile(files.cert, certificate);
  };
  await write(first.certificate, first.key);
  await using hooks = await serving(server => server.validating(ConfigMap, () => {}), files);
  const served = () =>
    new Promise<string>((resolve, reject) => {
      const { hostname: host, port } = new URL(hooks.url);
      const socket = connect({ host, port: Number(port), ca: authority.certificate }, () => {
        resolve(socket.getPeerCertificate().fingerprint256);
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const before = await served();
  await write('no certificate', first.key);
  expect(await served()).toBe(before);
  await rm(join(dir, 'serving'), { recursive: true, force: true });
  const { certificate, key } = await issueServingCertificate(authority, { name: 'another', hosts: ['127.0.0.1'] });
  await write(certificate, key);
  await expect.poll(served).not.toBe(before);
});

it('has to be told where it is, before it says what to apply', () => {
  const hooks = webhookServer({ certificate: { certificateFile: 'c', keyFile: 'k' } }).validating(
    ConfigMap,
    () => undefined,
  );
  expect(() => hooks.configurations('mine', { caBundle: '' })).toThrow(
    'give `url` (as told to `listening`) or `service`',
  );
  const url = (at: string) =>
    hooks.configurations('mine', { url: at, caBundle: '' }).validating?.webhooks?.[0]?.clientConfig?.url;
  expect([url('https://h:1'), url('https://h:1/')]).toEqual(Array(2).fill('https://h:1/validate--v1-configmap'));
});
