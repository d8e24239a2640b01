/** Types that are generated compile, and address what they were generated from. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createTestControlPlane } from '@orbitkit/controllers/testing';
import { writeKubeconfig } from '@orbitkit/core';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

import { execute } from '../main.js';

// The compiler reads all of core.
vi.setConfig({ testTimeout: 120_000 });
const packageRoot = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
beforeAll(async () => {
  // Inside of the package, so that `@orbitkit/core` is found.
  folder = await mkdtemp(join(packageRoot, '.generated-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets' },
    versions: ['v1alpha1', 'v1'].map(name => ({
      ...{ name, served: true, storage: name === 'v1' },
      schema: {
        openAPIV3Schema: {
          description: 'A widget. Ends a comment: */\nSecond line.',
          type: 'object',
          required: ['spec'],
          properties: {
            apiVersion: { type: 'string' },
            kind: { type: 'string' },
            metadata: { type: 'object' },
            spec: {
              type: 'object',
              required: ['size'],
              properties: {
                size: { type: 'integer' },
                colour: { type: 'string', enum: ['red', "it's"] },
                'odd-name': { type: 'boolean' },
                port: { 'x-kubernetes-int-or-string': true },
                free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
                labels: { type: 'object', additionalProperties: { type: 'string' } },
                parts: {
                  type: 'array',
                  items: {
                    type: 'object',
                    required: ['name'],
                    properties: { name: { type: 'string', nullable: true } },
                  },
                },
                mixed: { type: 'array', items: { type: 'string', enum: ['a', 'b'] } },
                template: {
                  type: 'object',
                  'x-kubernetes-embedded-resource': true,
                  'x-kubernetes-preserve-unknown-fields': true,
                },
              },
            },
            status: { type: 'object', properties: { ready: { type: 'boolean' } } },
          },
        },
      },
    })),
  },
};

async function run(...words: string[]) {
  let out = '';
  let err = '';
  const sink = (add: (text: string) => void) =>
    ({
      write(text: string) {
        add(String(text));
        return true;
      },
      once() {},
    }) as unknown as NodeJS.WritableStream;
  const code = await execute(words, {
    stdin: process.stdin,
    stdout: sink(text => {
      out += text;
    }),
    stderr: sink(text => {
      err += text;
    }),
    env: { HOME: folder },
    cwd: folder,
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

function problemsOf(...files: string[]): string[] {
  const program = ts.createProgram(
    files.map(file => join(folder, file)),
    {
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: true,
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      customConditions: ['@orbitkit/source'],
      types: ['node'],
    },
  );
  return files
    .map(file => program.getSourceFile(join(folder, file))!)
    .flatMap(file => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)])
    .map(
      ({ messageText, start, file }) =>
        `${file?.text.slice(start, (start ?? 0) + 60)}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
    );
}

describe('orbit generate types', () => {
  it('writes types of definitions that compile and say what is right and wrong', async () => {
    await writeFile(join(folder, 'crd.json'), JSON.stringify(definition));
    expect(await run('generate', 'types', '-f', 'crd.json', '-o', 'types')).toEqual({
      code: 0,
      out: `${join(folder, 'types', 'example.com.ts')}: Widget\n`,
      err: '',
    });
    await writeFile(
      join(folder, 'use.ts'),
      `import { controller } from '@orbitkit/controllers';
import type { Client } from '@orbitkit/core';
import { Widget, WidgetV1alpha1, type WidgetSpec } from './types/example.com.js';
export async function use(client: Client): Promise<number> {
  const spec: WidgetSpec = { size: 1, colour: "it's", 'odd-name': true, port: 'web', parts: [{ name: null }], mixed: ['a'], labels: { a: 'b' } };
  const made: Widget = await client.create(Widget, { metadata: { name: 'w', namespace: 'default' }, spec });
  const old: WidgetV1alpha1 = (await client.list(WidgetV1alpha1)).items[0]!;
  controller(Widget).reconcile(async ({ object, reportStatus }) => {
    if (object.spec.parts?.[0]?.name === null) await reportStatus({ ready: true });
  });
  // @ts-expect-error a colour that is none
  const wrong: WidgetSpec = { size: 1, colour: 'blue' };
  // @ts-expect-error the size is missing
  await client.create(Widget, { metadata: { name: 'w', namespace: 'default' }, spec: {} });
  return made.spec.size + old.spec.size + wrong.size;
}
`,
    );
    expect(problemsOf('types/example.com.ts', 'use.ts')).toEqual([]);
    expect(await readFile(join(folder, 'types', 'example.com.ts'), 'utf8')).toContain(
      ' * A widget. Ends a comment: *\\/',
    );
  });

  it('reads a cluster: its definitions, or any group that it serves; and the documents that it publishes', async () => {
    await using plane = await createTestControlPlane({
      definitions: [definition as never],
      port: 0,
      housekeeping: false,
    });
    const kubeconfig = join(folder, 'kubeconfig');
    await writeKubeconfig(kubeconfig, { name: 'c', server: plane.url! });
    const from = ['--kubeconfig', kubeconfig, 'generate', 'types'];
    expect(await run(...from, '-o', 'own')).toMatchObject({ code: 0, err: '' });
    expect(await readFile(join(folder, 'own', 'example.com.ts'), 'utf8')).toBe(
      await readFile(join(folder, 'types', 'example.com.ts'), 'utf8'),
    );
    expect(await run(...from, '--group', 'apps', '--group', 'batch', '-o', 'served')).toMatchObject({
      code: 0,
      err: '',
    });
    expect(problemsOf('served/apps.ts', 'served/batch.ts')).toEqual([]);
    const { Deployment } = await import(/* @vite-ignore */ pathToFileURL(join(folder, 'served', 'apps.ts')).href);
    expect(Deployment).toEqual({
      group: 'apps',
      version: 'v1',
      kind: 'Deployment',
      plural: 'deployments',
      namespaced: true,
    });
    expect((await plane.client.list(Deployment)).items).toEqual([]);
    const document = await (await fetch(`${plane.url}/openapi/v3/apis/apps/v1`)).text();
    await writeFile(join(folder, 'apps.json'), document);
    expect(await run('generate', 'types', '--openapi', 'apps.json', '-o', 'document')).toMatchObject({ code: 0 });
    expect(await readFile(join(folder, 'document', 'apps.ts'), 'utf8')).toBe(
      await readFile(join(folder, 'served', 'apps.ts'), 'utf8'),
    );
    expect((await run(...from, '--group', 'nonsense')).err).toContain('the cluster serves no group "nonsense"');
  });

  it('says what is wrong with its input', async () => {
    await writeFile(join(folder, 'no.json'), '{}');
    expect((await run('generate', 'types', '--openapi', 'no.json')).err).toContain('no.json: an OpenAPI v3 document');
    expect((await run('generate', 'types', '--openapi', 'missing.json')).err).toContain('missing.json');
    await writeFile(join(folder, 'map.yaml'), 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n');
    expect((await run('generate', 'types', '-f', 'map.yaml')).err).toContain('there is no kind');
  });
});
