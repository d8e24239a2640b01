/** Custom resources: defined, explained, validated, printed, applied, scaled, and gone with their definition. */
import { expect } from 'vitest';
import { eventually } from '../../cluster.js';
import { type Chapter, rowsOf } from '../tour.js';

const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.tour.example.com' },
  spec: {
    group: 'tour.example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', singular: 'widget', kind: 'Widget', shortNames: ['wg'], categories: ['all'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
        },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description: 'A thing of some size.',
            properties: {
              spec: {
                type: 'object',
                required: ['size'],
                properties: {
                  size: { type: 'integer', minimum: 1, description: 'How wide it is.' },
                  replicas: { type: 'integer', default: 1 },
                },
              },
              status: { type: 'object', properties: { replicas: { type: 'integer' } } },
            },
          },
        },
      },
    ],
  },
};
const widget = (spec: object) => ({
  apiVersion: 'tour.example.com/v1',
  kind: 'Widget',
  metadata: { name: 'wide' },
  spec,
});

export const custom: Chapter = {
  name: 'custom',
  steps: [
    {
      title: 'a definition becomes a kind',
      run: async tour => {
        await tour.ok(['create', '-f', await tour.file('crd.yaml', definition)]);
        expect(await tour.ok('wait crd/widgets.tour.example.com --for=condition=Established --timeout=30s')).toContain(
          'condition met',
        );
        await eventually('kubectl finds it', async () => {
          const rows = rowsOf(await tour.ok('api-resources --api-group=tour.example.com --cached=false'));
          expect(rows[0]).toMatchObject({ NAME: 'widgets', SHORTNAMES: 'wg', KIND: 'Widget' });
        });
      },
    },
    {
      title: 'explain',
      run: async tour => {
        expect(await tour.ok('explain widget')).toMatch(/KIND:\s+Widget[\s\S]*A thing of some size\./);
        expect(await tour.ok('explain widgets.spec.size')).toMatch(/<integer>[\s\S]*How wide it is\./);
        expect(await tour.ok('explain widgets.spec --output=plaintext-openapiv2')).toMatch(
          /size\s+<integer> -required-/,
        );
      },
    },
    {
      title: 'create, get, validation',
      run: async tour => {
        await tour.refused(['create', '-f', await tour.file('none.yaml', widget({}))], /spec\.size: Required value/);
        await tour.refused(
          ['create', '-f', await tour.file('small.yaml', widget({ size: 0 }))],
          /spec\.size in body should be greater than or equal to 1/,
        );
        await tour.refused(
          ['create', '-f', await tour.file('unknown.yaml', widget({ size: 1, sise: 2 }))],
          /unknown field "spec\.sise"/,
        );
        const file = await tour.file('widget.yaml', widget({ size: 7 }));
        expect(await tour.ok(['create', '-f', file, '--save-config'])).toBe('widget.tour.example.com/wide created\n');
        expect(rowsOf(await tour.ok('get wg'))).toEqual([{ NAME: 'wide', SIZE: '7' }]);
        expect((await tour.json('get widget wide')).spec).toEqual({ size: 7, replicas: 1 });
        expect(await tour.ok('get all')).toContain('widget.tour.example.com/wide');
      },
    },
    {
      title: 'apply, patch, edit, scale, --server-side',
      run: async tour => {
        const file = await tour.file('widget.yaml', widget({ size: 8 }));
        expect(await tour.ok(['apply', '-f', file])).toBe('widget.tour.example.com/wide configured\n');
        await tour.refused(
          ['patch', 'widget', 'wide', '-p', '{"spec":{"size":9}}'],
          /strategic-merge-patch|media type/,
        );
        await tour.ok(['patch', 'widget', 'wide', '--type=merge', '-p', '{"spec":{"size":9}}']);
        const editor = await tour.file('editor.sh', '#!/bin/sh\nsed -i "s/size: 9/size: 10/" "$1"\n', 0o755);
        expect(await tour.ok('edit widget wide', { env: { EDITOR: editor } })).toBe(
          'widget.tour.example.com/wide edited\n',
        );
        expect(await tour.ok('scale widget wide --replicas=3')).toBe('widget.tour.example.com/wide scaled\n');
        expect((await tour.json('get widget wide')).spec).toEqual({ size: 10, replicas: 3 });
        await tour.file('widget.yaml', widget({ size: 11 }));
        expect(await tour.ok(['apply', '--server-side', '--force-conflicts', '-f', file])).toBe(
          'widget.tour.example.com/wide serverside-applied\n',
        );
        expect((await tour.json('get widget wide')).spec.size).toBe(11);
        await tour.ok([
          'patch',
          'widget',
          'wide',
          '--subresource=status',
          '--type=merge',
          '-p',
          '{"status":{"replicas":2}}',
        ]);
        expect((await tour.json('get widget wide')).status).toEqual({ replicas: 2 });
      },
    },
    {
      title: 'delete, with the definition',
      run: async tour => {
        expect(await tour.ok('delete crd widgets.tour.example.com --timeout=60s')).toMatch(/deleted/);
        await eventually('nobody knows it any more', () =>
          tour.refused(
            'get --raw /apis/tour.example.com/v1/namespaces/custom/widgets',
            /NotFound|not found|could not find/,
          ),
        );
      },
    },
  ],
};
