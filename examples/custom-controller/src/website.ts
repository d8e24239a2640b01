/** The kind of this operator: one page of HTML, served by a number of replicas. Its definition for the cluster is made of the same schema. */
import type { CustomResourceDefinition, Draft, KubeObject } from '@orbitkit/core';
import { crdOf, defineKind } from '@orbitkit/core/zod';
import { z } from 'zod';

const condition = z.object({
  type: z.string(),
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string(),
  message: z.string().optional(),
  lastTransitionTime: z.string().meta({ form: 'time' }).optional(),
  observedGeneration: z.int().optional(),
});

export const Website = defineKind({
  group: 'example.com',
  version: 'v1',
  kind: 'Website',
  shortNames: ['web'],
  spec: z
    .object({
      html: z.string().min(1).max(65_536).describe('The page that is served.'),
      replicas: z.int32().min(0).max(9).default(1).describe('How many servers.'),
      port: z.int32().min(1024).max(65_535).default(8080).describe('Where the service listens.'),
      tier: z.enum(['small', 'large']).default('small'),
    })
    .meta({
      cel: [{ rule: "self.tier != 'small' || self.replicas <= 3", message: 'a small website has at most 3 replicas' }],
    }),
  status: z.object({
    readyReplicas: z.int32().optional(),
    url: z.string().optional(),
    conditions: z
      .array(condition)
      .meta({ listType: 'map', listMapKeys: ['type'] })
      .optional(),
  }),
  subresources: {
    status: true,
    scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.readyReplicas' },
  },
  columns: [
    { name: 'Ready', type: 'integer', value: '.status.readyReplicas' },
    { name: 'URL', value: '.status.url' },
    { name: 'Age', type: 'date', value: '.metadata.creationTimestamp' },
  ],
});
export type Website = typeof Website extends { _type?: infer T } ? Extract<T, KubeObject> : never;

export const websiteDefinition: Draft<CustomResourceDefinition> = crdOf(Website);
