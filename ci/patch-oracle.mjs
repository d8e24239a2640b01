// Compares orbitkit's patches with the real ones: `kubectl patch --local` runs the very code of an API server offline.
//
//   npm run build:js && node ci/patch-oracle.mjs [--kubectl PATH] [--cases 300] [--seed 1] [--lanes 2]
//
// Every case is a random object, a random patch (strategic with directives, merge, JSON, and computed strategic ones) and
// the question whether both sides give the same object, or both refuse. Compared is what a decoder would keep: kubectl
// shows nulls and leftover directives of new list elements, which a server drops as unknown fields.
// Ends with 1 when a case differs; says so and ends with 0 when there is no kubectl (in CI, `--required` makes that a failure).
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  applyPatch,
  builtinSchema,
  createMergePatch,
  createStrategicPatch,
  jsonEqual,
  seededRandom,
} from '../packages/core/dist/index.js';

const { values: flags } = parseArgs({
  options: {
    kubectl: { type: 'string' },
    cases: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    lanes: { type: 'string', default: '2' },
    required: { type: 'boolean', default: false },
  },
});
const kubectl = flags.kubectl ?? process.env.KUBECTL ?? 'kubectl';
const version = spawnSync(kubectl, ['version', '--client', '-o', 'json'], { encoding: 'utf8' });
if (version.status !== 0) {
  console.log(`patch oracle: SKIPPED, no kubectl at "${kubectl}" (node ci/kubectl.mjs 32 prints the path of one)`);
  process.exit(flags.required ? 1 : 0);
}
const gitVersion = JSON.parse(version.stdout).clientVersion.gitVersion;

const random = seededRandom(Number(flags.seed));
const chance = p => random() < p;
const below = n => Math.floor(random() * n);
const pick = list => list[below(list.length)];
const some = (list, p = 0.5) => list.filter(() => chance(p));
const shuffled = list =>
  [...list]
    .map(value => [random(), value])
    .sort((a, b) => a[0] - b[0])
    .map(each => each[1]);
const maybe = (p, name, make) => (chance(p) ? { [name]: make() } : {});

const names = ['a', 'b', 'c', 'd'];
const env = () => shuffled(some(['X', 'Y', 'Z'])).map(name => ({ name, value: String(below(3)) }));
const ports = () =>
  shuffled(some([80, 81, 82])).map(containerPort => ({
    containerPort,
    ...maybe(0.4, 'protocol', () => pick(['TCP', 'UDP'])),
  }));
const mounts = () => shuffled(some(['/m', '/n', '/o'])).map(mountPath => ({ mountPath, name: pick(names) }));
const container = name => ({
  name,
  image: `image-${below(3)}`,
  ...maybe(0.5, 'env', env),
  ...maybe(0.5, 'ports', ports),
  ...maybe(0.3, 'volumeMounts', mounts),
  ...maybe(0.4, 'command', () => some(['sh', '-c', 'x'])),
  ...maybe(0.4, 'resources', () => ({ limits: { cpu: `${below(3)}`, ...maybe(0.5, 'memory', () => '1Gi') } })),
});
const source = () => pick([{ emptyDir: {} }, { configMap: { name: pick(names) } }, { hostPath: { path: '/x' } }]);
const podSpec = () => ({
  containers: shuffled(some(names, 0.6)).map(container),
  ...maybe(0.6, 'volumes', () => shuffled(some(names)).map(name => ({ name, ...source() }))),
  ...maybe(0.4, 'tolerations', () => some(['t1', 't2', 't3']).map(key => ({ key, operator: 'Exists' }))),
  ...maybe(0.4, 'nodeSelector', () => Object.fromEntries(some(['disk', 'zone']).map(key => [key, pick(names)]))),
  ...maybe(0.4, 'imagePullSecrets', () => shuffled(some(['s1', 's2', 's3'])).map(name => ({ name }))),
  ...maybe(0.3, 'hostAliases', () =>
    shuffled(some(['1.1.1.1', '2.2.2.2'])).map(ip => ({ ip, hostnames: some(['h', 'i']) })),
  ),
  ...maybe(0.3, 'terminationGracePeriodSeconds', () => below(5)),
});
const metadata = () => ({
  name: 'x',
  ...maybe(0.5, 'labels', () => Object.fromEntries(some(['l1', 'l2', 'l3']).map(key => [key, pick(names)]))),
  ...maybe(0.5, 'finalizers', () => shuffled(some(['f.io/1', 'f.io/2', 'f.io/3']))),
  ...maybe(0.3, 'ownerReferences', () =>
    shuffled(some(['u1', 'u2'])).map(uid => ({ apiVersion: 'v1', kind: 'Pod', name: uid, uid })),
  ),
});
const kinds = {
  Pod: { type: 'core/v1.Pod', make: () => ({ apiVersion: 'v1', kind: 'Pod', metadata: metadata(), spec: podSpec() }) },
  Deployment: {
    type: 'apps/v1.Deployment',
    make: () => ({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata(),
      spec: {
        replicas: below(4),
        selector: { matchLabels: { app: 'x' } },
        template: { metadata: { labels: { app: 'x' } }, spec: podSpec() },
        ...maybe(0.6, 'strategy', () =>
          pick([{ type: 'Recreate' }, { type: 'RollingUpdate', rollingUpdate: { maxSurge: below(3) } }]),
        ),
      },
    }),
  },
  Service: {
    type: 'core/v1.Service',
    make: () => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(),
      spec: {
        selector: { app: 'x' },
        ports: shuffled(some([80, 81, 82], 0.7)).map(port => ({ port, name: `p${port}` })),
      },
    }),
  },
  ServiceAccount: {
    type: 'core/v1.ServiceAccount',
    make: () => ({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: metadata(),
      ...maybe(0.7, 'secrets', () => shuffled(some(['s1', 's2', 's3'])).map(name => ({ name }))),
    }),
  },
};

const conditions = () =>
  shuffled(some(['Ready', 'DiskPressure', 'Other'])).map(type => ({ type, status: pick(['True', 'False']) }));
Object.assign(kinds, {
  StatefulSet: {
    type: 'apps/v1.StatefulSet',
    make: () => ({
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: metadata(),
      spec: {
        serviceName: 'x',
        selector: { matchLabels: { app: 'x' } },
        template: { metadata: { labels: { app: 'x' } }, spec: podSpec() },
        ...maybe(0.5, 'volumeClaimTemplates', () => some(['v1', 'v2']).map(name => ({ metadata: { name } }))),
        ...maybe(0.5, 'updateStrategy', () => pick([{ type: 'OnDelete' }, { type: 'RollingUpdate' }])),
      },
    }),
  },
  CronJob: {
    type: 'batch/v1.CronJob',
    make: () => ({
      apiVersion: 'batch/v1',
      kind: 'CronJob',
      metadata: metadata(),
      spec: {
        schedule: '* * * * *',
        ...maybe(0.5, 'suspend', () => chance(0.5)),
        jobTemplate: { spec: { template: { metadata: { labels: { app: 'x' } }, spec: podSpec() } } },
      },
    }),
  },
  Node: {
    type: 'core/v1.Node',
    make: () => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: metadata(),
      spec: {
        ...maybe(0.5, 'taints', () => some(['t1', 't2']).map(key => ({ key, effect: 'NoSchedule' }))),
        ...maybe(0.5, 'podCIDRs', () => some(['10.0.0.0/24', '10.0.1.0/24'])),
      },
      ...maybe(0.7, 'status', () => ({
        conditions: conditions(),
        addresses: shuffled(some(['InternalIP', 'Hostname'])).map(type => ({ type, address: pick(names) })),
      })),
    }),
  },
  Ingress: {
    type: 'networking.k8s.io/v1.Ingress',
    make: () => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: metadata(),
      spec: {
        ...maybe(0.5, 'ingressClassName', () => pick(names)),
        ...maybe(0.6, 'tls', () => some(['h1', 'h2']).map(host => ({ hosts: [host], secretName: host }))),
        rules: some(['h1', 'h2']).map(host => ({
          host,
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'x', port: { number: below(3) } } } }],
          },
        })),
      },
    }),
  },
  ConfigMap: {
    type: 'core/v1.ConfigMap',
    make: () => ({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: metadata(),
      data: Object.fromEntries(some(names).map(name => [name, pick(names)])),
    }),
  },
  Role: {
    type: 'rbac.authorization.k8s.io/v1.Role',
    make: () => ({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: metadata(),
      rules: some(['pods', 'nodes']).map(resource => ({ apiGroups: [''], resources: [resource], verbs: ['get'] })),
    }),
  },
});

const isMapping = value => typeof value === 'object' && value !== null && !Array.isArray(value);
const keyOfList = field => field?.patchStrategy?.includes('merge') && (field.patchMergeKey ?? '');

/** A patch with directives that says something about the parts of `wanted`, an object of the same kind. */
function strategicPatch(wanted, live, schema, depth = 0) {
  const patch = {};
  if (depth > 0 && Object.keys(live).length > 0 && chance(0.06))
    patch.$patch = pick(['replace', 'replace', 'delete', 'merge']);
  for (const [key, value] of Object.entries(wanted)) {
    if (depth === 0 && key !== 'metadata' && key !== 'spec' && !Array.isArray(value)) continue;
    if (chance(0.35) && depth > 0) continue;
    const field =
      schema?.type === 'struct'
        ? schema.fields.get(key)
        : schema?.type === 'map'
          ? { schema: schema.values }
          : undefined;
    const before = live?.[key];
    if (isMapping(value)) {
      patch[key] = strategicPatch(value, isMapping(before) ? before : {}, field?.schema, depth + 1);
      // What is replaced or deleted as a whole has no directives inside.
      if (patch[key].$patch) patch[key] = { ...value, $patch: patch[key].$patch };
      if (field?.patchStrategy?.includes('retainKeys') && chance(0.5)) {
        patch[key].$retainKeys = Object.keys(patch[key]).filter(name => !name.startsWith('$'));
        if (chance(0.1)) patch[key].$retainKeys.pop();
      }
    } else if (Array.isArray(value) && keyOfList(field) === '') {
      const additions = value.filter(() => chance(0.8));
      if (chance(0.6)) patch[key] = additions;
      if (chance(0.4))
        patch[`$deleteFromPrimitiveList/${key}`] = some(['f.io/1', 'f.io/2', 'f.io/3'], 0.4).filter(
          each => !additions.includes(each),
        );
      if (patch[key] && chance(0.4))
        patch[`$setElementOrder/${key}`] = orderFor(additions, before ?? [], patch[`$deleteFromPrimitiveList/${key}`]);
    } else if (Array.isArray(value) && keyOfList(field)) {
      const mergeKey = keyOfList(field);
      const items = field.schema.items;
      const elements = value.map(item => {
        const inner = strategicPatch(item, {}, items, depth + 1);
        delete inner[mergeKey];
        if (field.patchStrategy.includes('retainKeys') && chance(0.5))
          inner.$retainKeys = [
            mergeKey,
            ...Object.keys(inner).filter(name => !name.startsWith('$') && name !== mergeKey),
          ];
        return chance(0.02) ? inner : { ...inner, [mergeKey]: item[mergeKey] };
      });
      const there = Array.isArray(before) ? before : [];
      const gone = there
        .filter(item => chance(0.2) && !value.some(each => each[mergeKey] === item[mergeKey]))
        .map(item => ({ $patch: 'delete', [mergeKey]: item[mergeKey] }));
      patch[key] = [...elements, ...gone];
      if (chance(0.05)) patch[key].unshift({ $patch: 'replace' });
      if (chance(0.4)) {
        const identities = elements.map(each => each[mergeKey]).filter(each => each !== undefined);
        patch[`$setElementOrder/${key}`] = orderFor(
          identities,
          there.map(each => each[mergeKey]),
          gone.map(each => each[mergeKey]),
        ).map(each => ({ [mergeKey]: each }));
        if (chance(0.1)) delete patch[key];
      }
    } else patch[key] = chance(0.1) ? null : value;
  }
  if (depth > 0)
    for (const key of Object.keys(live ?? {}))
      if (!(key in patch) && !(`$setElementOrder/${key}` in patch) && chance(0.08) && key !== 'containers')
        patch[key] = null;
  return patch;
}

/** An order of the patch's elements with some live ones among them; now and then one that contradicts the patch. */
function orderFor(patched, live, gone = []) {
  const order = [...patched];
  for (const value of live)
    if (!order.includes(value) && !gone.includes(value) && chance(0.5)) order.splice(below(order.length + 1), 0, value);
  return chance(0.1) ? shuffled(order) : order;
}

function jsonPatch(live) {
  const pointers = [];
  const walk = (value, path) => {
    pointers.push([path, value]);
    if (Array.isArray(value)) for (const [index, item] of value.entries()) walk(item, `${path}/${index}`);
    else if (isMapping(value))
      for (const [key, item] of Object.entries(value))
        walk(item, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  };
  walk(live, '');
  const inside = pointers.filter(
    ([path]) => path !== '' && !/^\/(apiVersion|kind|metadata)$/.test(path) && path !== '/metadata/name',
  );
  if (inside.length === 0) return [{ op: 'add', path: '/metadata/labels', value: { l1: 'a' } }];
  return Array.from({ length: 1 + below(3) }, () => {
    const [path, value] = pick(inside);
    const [from] = pick(inside);
    const target = chance(0.1) ? `${path}/zz` : path;
    switch (below(6)) {
      case 0:
        return {
          op: 'add',
          path: Array.isArray(value)
            ? `${path}/${pick(['-', '0', String(value.length), String(value.length + 1), '-1'])}`
            : target,
          value: 'new',
        };
      case 1:
        return { op: 'remove', path: target };
      case 2:
        return { op: 'replace', path: target, value: 'other' };
      case 3:
        return { op: 'test', path: target, value: chance(0.7) ? value : 'nothing' };
      case 4:
        return { op: 'copy', from, path: target };
      default:
        // The RFC forbids a move into itself; the server's library does it after the removal.
        return {
          op: target.startsWith(`${from}/`) ? 'copy' : 'move',
          from: chance(0.1) ? `${from}/zz` : from,
          path: target,
        };
    }
  });
}

function mergePatch(wanted, live) {
  const patch = createMergePatch({ original: live, modified: wanted, current: live });
  if (isMapping(patch.spec))
    for (const key of Object.keys(patch.spec))
      if (chance(0.1)) patch.spec[key] = { deep: { x: null, y: [1, null] }, z: null };
  return patch;
}

function makeCase() {
  const { type, make } = kinds[pick(Object.keys(kinds))];
  const schema = builtinSchema(type);
  const [live, wanted] = [make(), make()];
  const how = pick(['strategic', 'strategic', 'strategic', 'computed', 'merge', 'json']);
  if (how === 'strategic') return { how, type: 'strategic', live, patch: strategicPatch(wanted, live, schema), schema };
  if (how === 'computed')
    return {
      how,
      type: 'strategic',
      live,
      patch: createStrategicPatch({ original: live, modified: wanted, current: live }, schema),
      schema,
      wanted,
    };
  if (how === 'merge') return { how, type: 'merge', live, patch: mergePatch(wanted, live), schema };
  return { how, type: 'json', live, patch: jsonPatch(live), schema };
}

/** What a decoder of the type keeps: neither nulls nor fields that begin with `$`. */
function decoded(value) {
  if (Array.isArray(value)) return value.filter(item => !(isMapping(item) && '$patch' in item)).map(decoded);
  if (!isMapping(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, each]) => each !== null && !key.startsWith('$'))
      .map(([key, each]) => [key, decoded(each)]),
  );
}

const folder = mkdtempSync(join(tmpdir(), 'patch-oracle-'));
const run = (file, { type, patch }) =>
  new Promise(resolve => {
    const child = spawn(
      kubectl,
      ['patch', '--local', '-f', file, `--type=${type}`, '-p', JSON.stringify(patch), '-o', 'json'],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let [out, err] = ['', ''];
    child.stdout.on('data', chunk => {
      out += chunk;
    });
    child.stderr.on('data', chunk => {
      err += chunk;
    });
    child.on('close', code => resolve({ code, out, err }));
  });

const total = Number(flags.cases);
let next = 0;
const counts = { same: 0, refused: 0, different: 0 };
const byType = {};

async function lane(number) {
  while (next < total) {
    const index = next;
    next += 1;
    const each = makeCase();
    byType[each.how] = (byType[each.how] ?? 0) + 1;
    const file = join(folder, `live-${number}.json`);
    writeFileSync(file, JSON.stringify(each.live));
    const before = JSON.stringify([each.live, each.patch]);
    const theirs = await run(file, each);
    let ours;
    let refusal;
    try {
      ours = applyPatch(each.live, each, each.schema);
    } catch (error) {
      if (typeof error.code !== 'number') throw error;
      refusal = error.message;
    }
    const say = what => {
      counts.different += 1;
      console.log(
        `case ${index} (${each.how}): ${what}\n  live   ${JSON.stringify(each.live)}\n  patch  ${JSON.stringify(each.patch)}\n  ours   ${refusal ?? JSON.stringify(decoded(ours))}\n  theirs ${theirs.code === 0 ? JSON.stringify(decoded(JSON.parse(theirs.out))) : theirs.err.trim()}`,
      );
    };
    if (JSON.stringify([each.live, each.patch]) !== before) say('an input was changed');
    else if (refusal !== undefined && theirs.code !== 0) counts.refused += 1;
    // An order for a list that is empty on both sides: an internal error there, an empty list here.
    else if (refusal === undefined && theirs.err.includes('no elements in any of the given slices')) counts.same += 1;
    // A copy of nothing is null there; the RFC makes it an error.
    else if (refusal?.includes('(copy ') && refusal.includes('nothing is at')) counts.refused += 1;
    else if ((refusal !== undefined) !== (theirs.code !== 0)) say('only one side refuses');
    else if (!jsonEqual(decoded(ours), decoded(JSON.parse(theirs.out)))) say('the results differ');
    else if (each.wanted && !jsonEqual(decoded(ours), decoded(each.wanted)))
      say('a computed patch does not lead to the object it was computed for');
    else counts.same += 1;
  }
}

try {
  await Promise.all(Array.from({ length: Number(flags.lanes) }, (_, number) => lane(number)));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `patch oracle: kubectl ${gitVersion}, ${total} cases (${JSON.stringify(byType)}): ${counts.same} same, ${counts.refused} refused by both, ${counts.different} different`,
);
process.exit(counts.different > 0 ? 1 : 0);
