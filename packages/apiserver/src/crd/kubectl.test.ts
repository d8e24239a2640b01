/**
 * Real kubectl against custom resources, over TLS with the administrator's kubeconfig: what a user of an operator types. kubectl comes from
 * `ci/` (`cd ci && npm install`); in CI a missing one is a failure.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { compose } from '@orbitkit/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { apiServer, memoryStore } from '../index.js';
import { kubectlPath } from '../testing/kubectl-program.js';

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: crontabs.stable.example.com }
spec:
  group: stable.example.com
  scope: Namespaced
  names: { plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all] }
  versions:
    - name: v1
      served: true
      storage: true
      subresources:
        status: {}
        scale: { specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.labelSelector }
      additionalPrinterColumns:
        - { name: Spec, type: string, jsonPath: .spec.cronSpec, description: When it runs }
        - { name: Replicas, type: integer, jsonPath: .spec.replicas }
        - { name: Image, type: string, jsonPath: .spec.image, priority: 1 }
        - { name: Age, type: date, jsonPath: .metadata.creationTimestamp }
      selectableFields: [{ jsonPath: .spec.image }]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              description: What the tab is to do.
              required: [cronSpec]
              properties:
                cronSpec: { type: string, pattern: '^(\\S+\\s){4}\\S+$', description: "Five fields, as in crontab(5)." }
                image: { type: string, default: busybox }
                replicas: { type: integer, minimum: 0, maximum: 10, default: 1 }
                env:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [name]
                  items: { type: object, required: [name], properties: { name: { type: string }, value: { type: string } } }
              x-kubernetes-validations:
                - rule: self.replicas <= 5 || self.image != 'busybox'
                  message: busybox does not scale beyond 5
                - rule: self.image == oldSelf.image
                  message: image is immutable
            status: { type: object, properties: { replicas: { type: integer }, labelSelector: { type: string } } }
`;
const tab = (name: string, more = ''): string => `
apiVersion: stable.example.com/v1
kind: CronTab
metadata: { name: ${name} }
spec: { cronSpec: "* * * * */5"${more} }
`;

describe.each(['30', '35'])('kubectl 1.%s and custom resources', minor => {
  const binary = kubectlPath(minor);
  if (binary === undefined) {
    it.skip(`needs kubectl 1.${minor}: cd ci && npm install`, () => undefined);
    return;
  }
  let dir: string;
  let stop: () => Promise<void>;

  const kubectl = async (line: string, input?: string): Promise<{ code: number; out: string; err: string }> => {
    const args = line.match(/(?:[^\s']+|'[^']*')+/g)!.map(each => each.replace(/'/g, ''));
    return new Promise(resolve => {
      const child = execFile(
        binary,
        args,
        { env: { PATH: process.env['PATH']!, HOME: dir, KUBECONFIG: path.join(dir, 'kubeconfig') }, timeout: 60_000 },
        (error, out, err) => resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
      );
      child.stdin!.end(input ?? '');
    });
  };
  const ok = async (line: string, input?: string): Promise<string> => {
    const { code, out, err } = await kubectl(line, input);
    expect({ line, code, err: code === 0 ? '' : err }).toEqual({ line, code: 0, err: '' });
    return out;
  };

  beforeAll(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'orbit-crd-kubectl-'));
    const api = apiServer({
      store: memoryStore(),
      dataDir: path.join(dir, 'data'),
      listen: { port: 0 },
      kubeconfig: path.join(dir, 'kubeconfig'),
    });
    const composition = compose(api);
    const abort = new AbortController();
    const running = composition.run({ signal: abort.signal });
    while (!api.endpoint) await new Promise(resolve => setTimeout(resolve, 10));
    stop = async () => {
      abort.abort();
      await running;
    };
    await writeFile(path.join(dir, 'crd.yaml'), definition);
  }, 60_000);
  afterAll(async () => {
    await stop?.();
    if (dir) await rm(dir, { recursive: true, force: true });
  });

  it('defines a kind and uses it at once', async () => {
    expect(await ok(`create -f ${dir}/crd.yaml`)).toContain('crontabs.stable.example.com created');
    await ok('wait --for=condition=Established crd/crontabs.stable.example.com --timeout=20s');
    expect(await ok('get crd')).toContain('crontabs.stable.example.com');
    expect(await ok('api-resources --api-group=stable.example.com')).toMatch(
      /crontabs\s+ct\s+stable\.example\.com\/v1\s+true\s+CronTab/,
    );
    expect(await ok('apply -f -', tab('one'))).toContain('crontab.stable.example.com/one created');
  }, 120_000);

  it('explains it', async () => {
    const text = await ok('explain crontab.spec');
    expect(text).toContain('What the tab is to do.');
    expect(text).toMatch(/cronSpec\s+<string> -required-/);
    expect(await ok('explain ct.spec.cronSpec')).toContain('Five fields, as in crontab(5).');
    expect(await ok('explain ct.metadata.name')).toContain('name <string>');
  }, 120_000);

  it('prints its columns, by short name, category and field', async () => {
    expect(await ok('get ct')).toMatch(/^NAME\s+SPEC\s+REPLICAS\s+AGE\none\s+\* \* \* \* \*\/5\s+1\s+\d+s\n$/);
    expect(await ok('get crontab one -o wide')).toContain('busybox');
    expect(await ok('get all')).toContain('crontab.stable.example.com/one');
    expect(await ok('get ct --field-selector spec.image=busybox -o name')).toBe('crontab.stable.example.com/one\n');
    expect(await ok('get ct --field-selector spec.image=other -o name')).toBe('');
    expect(await ok('describe ct one')).toContain('Cron Spec:  * * * * */5');
  }, 120_000);

  it('refuses what the schema and its rules refuse', async () => {
    const schema = await kubectl('apply -f -', tab('bad', ', replicas: 11'));
    expect(schema.err).toContain(
      'spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10',
    );
    const unknown = await kubectl('apply -f -', tab('bad', ', colour: red'));
    expect(unknown.err).toContain('unknown field "spec.colour"');
    const rule = await kubectl('apply -f -', tab('bad', ', replicas: 7'));
    expect(rule.err).toContain('spec: Invalid value: "object": busybox does not scale beyond 5');
    const changed = await kubectl('apply -f -', tab('one', ', image: other'));
    expect(changed.err).toContain('image is immutable');
  }, 120_000);

  it('changes it: apply, patch, edit of lists, scale, label, server-side apply', async () => {
    expect(await ok('apply -f -', tab('one', ', replicas: 2'))).toContain('configured');
    expect(await ok('apply -f -', tab('one', ', replicas: 2'))).toContain('unchanged');
    expect(await ok('diff -f -', tab('one', ', replicas: 2'))).toBe('');
    expect(await ok('scale ct one --replicas=4')).toContain('scaled');
    expect(await ok("get ct one -o jsonpath='{.spec.replicas}'")).toBe('4');
    expect(await ok('patch ct one --type=merge -p {"spec":{"replicas":3}}')).toContain('patched');
    const strategic = await kubectl('patch ct one -p {"spec":{"replicas":3}}');
    expect(strategic.err).toContain('strategic-merge-patch+json is not supported');
    expect(await ok('label ct one tier=gold')).toContain('labeled');
    expect(await ok('get ct -l tier=gold -o name')).toContain('/one');
    await ok('apply --server-side --field-manager=a -f -', tab('ssa', ', env: [{name: A, value: "1"}]'));
    await ok('apply --server-side --field-manager=b -f -', tab('ssa', ', env: [{name: B, value: "2"}]'));
    expect(await ok("get ct ssa -o jsonpath='{.spec.env[*].name}'")).toBe('A B');
    const conflict = await kubectl(
      'apply --server-side --field-manager=b -f -',
      tab('ssa', ', env: [{name: A, value: "3"}]'),
    );
    expect(conflict.err).toContain('conflict with "a": .spec.env[name="A"].value');
  }, 180_000);

  it('deletes it, and the definition with all that is left', async () => {
    expect(await ok('delete ct one')).toContain('deleted');
    expect(await ok('delete crd crontabs.stable.example.com')).toContain('deleted');
    const gone = await kubectl('get ct');
    expect(gone.err).toMatch(/doesn't have a resource type|could not find the requested resource/);
  }, 120_000);
});
