import { expect, it } from 'vitest';
import type { PodTemplateSpec } from '../../pods/pod-template.js';
import { sameTemplate, templateHash, templateHashLabel } from './template.js';

const template = (extra: object = {}, labels: Record<string, string> = { app: 'web' }) =>
  ({ metadata: { labels }, spec: { containers: [{ name: 'main', image: 'a', ...extra }] } }) as PodTemplateSpec;

it('templates are the same whatever the order of fields, the hash label, nulls and empty lists', () => {
  const same = template({ args: [], command: null }, { [templateHashLabel]: 'x', app: 'web' });
  expect(sameTemplate(template(), same)).toBe(true);
  expect(templateHash(template())).toBe(templateHash(same));
  expect(
    sameTemplate(template({ env: [{ name: 'A', value: '1' }] }), template({ env: [{ value: '1', name: 'A' }] })),
  ).toBe(true);
});

it('and differ when anything differs, an empty object from an absent one too', () => {
  expect(sameTemplate(template(), template({ image: 'b' }))).toBe(false);
  expect(sameTemplate(template(), template({ securityContext: {} }))).toBe(false);
  expect(sameTemplate(template({ args: ['a', 'b'] }), template({ args: ['b', 'a'] }))).toBe(false);
  expect(sameTemplate(undefined, template())).toBe(false);
});

it('a hash is a short label value, and a collision count gives another', () => {
  expect(templateHash(template())).toMatch(/^[bcdfghjklmnpqrstvwxz2456789]{1,10}$/);
  expect(templateHash(template(), 1)).not.toBe(templateHash(template()));
});
