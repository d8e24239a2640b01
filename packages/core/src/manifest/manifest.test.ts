import { describe, expect, it } from 'vitest';
import { formatLocation, isManifestError, loadDocuments, loadManifests, locate, type ManifestError } from './index.js';

function failure(text: string, file = 'web.yaml'): ManifestError {
  try {
    loadManifests(text, { file });
  } catch (error) {
    if (isManifestError(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const pod = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app.kubernetes.io/name: web
spec:
  containers:
    - name: a
      image: nginx
    - name: b
      ports:
        - containerPort: 80
`;

describe('loadManifests', () => {
  it('reads several documents, a leading --- and empty ones', () => {
    const text = `---\n# a comment\n---\n${pod}---\n\n---\napiVersion: v1\nkind: Service\nmetadata: { name: web }\n...\n`;
    const manifests = loadManifests(text, { file: 'all.yaml' });
    expect(manifests.map(each => [each.object.kind, each.object.metadata.name, each.start.line])).toEqual([
      ['Pod', 'web', 4],
      ['Service', 'web', 20],
    ]);
  });

  it('reads JSON that is indented with tabs, and keeps its places', () => {
    const text = '{\n\t"apiVersion": "v1",\n\t"kind": "Pod",\n\t"metadata": {\n\t\t"name": "x\\ty"\n\t}\n}\n';
    const [manifest] = loadManifests(text, { file: 'pod.json' });
    expect(manifest!.object.metadata.name).toBe('x\ty');
    expect(formatLocation(locate(manifest!, 'metadata.name'))).toBe('pod.json:5:3');
  });

  it('reads scalars as Kubernetes does', () => {
    const [document] = loadDocuments(
      'mode: 0644\nyes: on\ntime: 2026-01-02\nport: 1:30\nsize: 1e3\nhex: 0x10\nnone: ~\ntext: "0644"\n',
    );
    expect(document!.value).toEqual({
      mode: 420,
      true: true,
      time: '2026-01-02',
      port: '1:30',
      size: 1000,
      hex: 16,
      none: null,
      text: '0644',
    });
  });

  it('expands lists, also lists in lists and lists of one kind', () => {
    const text = `apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: ConfigMap
    metadata:
      name: a
  - apiVersion: v1
    kind: ServiceList
    items:
      - metadata:
          name: b
        spec:
          ports: []
`;
    const manifests = loadManifests(text, { file: 'list.yaml' });
    expect(manifests.map(({ object }) => `${object.apiVersion} ${object.kind} ${object.metadata.name}`)).toEqual([
      'v1 ConfigMap a',
      'v1 Service b',
    ]);
    expect(formatLocation(locate(manifests[0]!, 'metadata.name'))).toBe('list.yaml:7:7');
    expect(formatLocation(locate(manifests[1]!, 'spec.ports'))).toBe('list.yaml:14:11');
    expect(manifests[1]!.start.line).toBe(11);
  });

  it('follows anchors and merge keys', () => {
    const text = `apiVersion: v1
kind: ConfigMap
metadata: &meta
  name: a
data:
  <<: { a: "1" }
  b: "2"
copy: *meta
`;
    const [manifest] = loadManifests(text);
    expect(manifest!.object['data']).toEqual({ a: '1', b: '2' });
    expect(manifest!.object['copy']).toEqual({ name: 'a' });
    expect(locate(manifest!, 'copy.name').line).toBe(4);
  });
});

describe('lines that stand too far left', () => {
  it('are read when they continue a quoted text or a flow collection', () => {
    const text = `kind: Pod
list:
  - command: ["/bin/sh", "-c", "one &&
    two"]
    after: 1
flow: [
a, { b:
c } ]
single: 'x
y'
`;
    const [document] = loadDocuments(text, { file: 'left.yaml' });
    expect(document!.value).toEqual({
      kind: 'Pod',
      list: [{ command: ['/bin/sh', '-c', 'one && two'], after: 1 }],
      flow: ['a', { b: 'c' }],
      single: 'x y',
    });
    expect(formatLocation(locate(document!, 'list[0].after'))).toBe('left.yaml:5:5');
    expect(formatLocation(locate(document!, 'flow[1].b'))).toBe('left.yaml:7:6');
  });

  it('are told as they are when that does not mend them', () => {
    const error = failure('kind: "Pod\napiVersion: "v1"\nmetadata: {}\n');
    expect(error.problems[0]).toMatchObject({ line: 1, message: 'Missing closing "quote' });
    expect(failure('a: [1, 2\nb: 3\n').problems.length).toBeGreaterThan(0);
  });
});

describe('errors', () => {
  it('name file, line and column of a syntax error', () => {
    const error = failure('apiVersion: v1\nkind: Pod\nmetadata:\n  name: "open\n');
    expect(error.problems[0]).toMatchObject({ file: 'web.yaml', line: 5 });
    expect(error.message).toMatch(/^web\.yaml:5:1: /);
  });

  it('name a duplicate key where it stands the second time', () => {
    const error = failure('apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b\n');
    expect(error.message).toBe('web.yaml:5:3: this key is there twice in one mapping');
  });

  it('name duplicate keys of JSON', () => {
    expect(failure('{"kind": "Pod", "apiVersion": "v1",\n "kind": "Pod"}').problems[0]).toMatchObject({
      line: 2,
      column: 2,
    });
  });

  it('name tabs in YAML', () => {
    expect(failure('apiVersion: v1\nkind: Pod\nmetadata:\n\tname: a\n').message).toContain(
      'web.yaml:4:1: a tab is used for indentation',
    );
  });

  it('say what is missing or of the wrong form, for all documents at once', () => {
    const error = failure(
      'metadata: {}\n---\n- a\n---\nhello\n---\napiVersion: v1\nkind: 3\n---\napiVersion: v1\nkind: Pod\n',
    );
    expect(error.message.split('\n')).toEqual([
      'web.yaml:1:1: apiVersion is missing',
      'web.yaml:1:1: kind is missing',
      'web.yaml:3:1: an API object is a mapping with apiVersion, kind and metadata; this is a list',
      'web.yaml:5:1: an API object is a mapping with apiVersion, kind and metadata; this is the string "hello"',
      'web.yaml:8:1: kind must be a text that is not empty',
      'web.yaml:10:1: metadata is missing',
    ]);
  });

  it('are counted when there are many', () => {
    const error = failure(Array.from({ length: 30 }, () => 'kind: Pod\nmetadata: {}\n').join('---\n'));
    expect(error.problems).toHaveLength(30);
    expect(error.message).toContain('and 10 more problems');
  });

  it('bound aliases that multiply', () => {
    const laughs = ['a: &a [x,x,x,x,x,x,x,x,x,x]'];
    for (let i = 1; i < 8; i++) {
      const [name, before] = [String.fromCharCode(97 + i), String.fromCharCode(96 + i)];
      laughs.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(',')}]`);
    }
    expect(failure(laughs.join('\n')).message).toMatch(/web\.yaml:1:1: .*alias/i);
  });
});

describe('locate', () => {
  const [manifest] = loadManifests(pod, { file: 'pod.yaml' });
  const at = (path: string) => formatLocation(locate(manifest!, path));

  it('finds fields, list elements, and keys with dots', () => {
    expect(at('spec.containers[0].image')).toBe('pod.yaml:10:7');
    expect(at('spec.containers[1].ports[0].containerPort')).toBe('pod.yaml:13:11');
    expect(at('metadata.labels.app.kubernetes.io/name')).toBe('pod.yaml:6:5');
    expect(at('metadata.labels[app.kubernetes.io/name]')).toBe('pod.yaml:6:5');
    expect(at('spec.containers[1]')).toBe('pod.yaml:11:7');
  });

  it('gives the nearest place of what is not there', () => {
    expect(at('spec.containers[1].image')).toBe('pod.yaml:11:7');
    expect(at('spec.containers[7].image')).toBe('pod.yaml:8:3');
    expect(at('status')).toBe('pod.yaml:1:1');
    expect(at('')).toBe('pod.yaml:1:1');
  });
});
