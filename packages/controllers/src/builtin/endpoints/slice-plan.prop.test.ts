import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type DesiredEndpoint, planSlices, type SliceView } from './slice-plan.js';

const endpoint = (id: number, ready: boolean) => ({
  addresses: [`10.0.0.${id}`],
  conditions: { ready, serving: ready, terminating: false },
  targetRef: { kind: 'Pod', name: `p${id}`, uid: `u${id}` },
});
const portsOf = (variant: number) => [{ name: 'http', protocol: 'TCP' as const, port: 8000 + variant }];
const desiredOf = (pods: readonly { id: number; ready: boolean; ports: number }[]): DesiredEndpoint[] =>
  [...new Map(pods.map(pod => [pod.id, pod])).values()].map(pod => ({
    family: 'IPv4',
    ports: portsOf(pod.ports),
    endpoint: endpoint(pod.id, pod.ready),
  }));
const pods = fc.array(fc.record({ id: fc.nat(30), ready: fc.boolean(), ports: fc.nat(1) }), { maxLength: 40 });

let names = 0;
const slice = (content: { addressType: string; ports?: unknown; endpoints: unknown }): SliceView =>
  ({ metadata: { name: `s${++names}`, namespace: 'default', uid: `s${names}` }, ...content }) as unknown as SliceView;

function apply(existing: readonly SliceView[], desired: readonly DesiredEndpoint[], limit: number): SliceView[] {
  const plan = planSlices(desired, existing, ['IPv4'], limit);
  const updated = new Map(plan.update.map(each => [each.slice, each.endpoints]));
  return [
    ...existing
      .filter(each => !plan.remove.includes(each))
      .map(each => (updated.has(each) ? ({ ...each, endpoints: updated.get(each) } as SliceView) : each)),
    ...plan.create.map(slice),
  ];
}

it('after any history the slices hold exactly what is desired, within the limit, and the next plan is empty', () => {
  fc.assert(
    fc.property(fc.array(pods, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 5 }), (history, limit) => {
      let slices: SliceView[] = [];
      for (const state of history) {
        const desired = desiredOf(state);
        slices = apply(slices, desired, limit);
        const held = slices.flatMap(each =>
          each.endpoints.map(one => [one.addresses[0], one.conditions?.ready, each.ports?.[0]?.port]),
        );
        const wanted = desired.map(each => [
          each.endpoint.addresses[0],
          each.endpoint.conditions?.ready,
          each.ports[0]!.port,
        ]);
        expect(held.map(each => JSON.stringify(each)).sort()).toEqual(wanted.map(each => JSON.stringify(each)).sort());
        for (const each of slices) expect(each.endpoints.length).toBeLessThanOrEqual(limit);
        expect(slices.length).toBeGreaterThan(0);
        if (desired.length > 0) expect(slices.every(each => each.endpoints.length > 0)).toBe(true);
        const again = planSlices(desired, slices, ['IPv4'], limit);
        expect([again.create, again.update, again.remove]).toEqual([[], [], []]);
      }
    }),
    { numRuns: 300 },
  );
});

it('one pod that gets ready changes one slice', () => {
  const all = Array.from({ length: 10 }, (_, id) => ({ id, ready: id > 0, ports: 0 }));
  const slices = apply([], desiredOf(all), 4);
  expect(slices.length).toBe(3);
  const plan = planSlices(desiredOf(all.map(pod => ({ ...pod, ready: true }))), slices, ['IPv4'], 4);
  expect([plan.create.length, plan.update.length, plan.remove.length]).toEqual([0, 1, 0]);
});
