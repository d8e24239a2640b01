/**
 * Requests that no well-behaved client sends, from a grammar and a seeded source of chance: the same seed makes the same requests.
 *
 * Four families: requests of HTTP/1.1 as bytes (paths, queries, headers, bodies of every media type, also broken), forms that smuggle a second
 * request past a proxy, handshakes of upgrades, and frames of HTTP/2. Each starts from something valid and may be spoiled at any place,
 * since what is all noise never gets past the first check.
 */
import type { Random } from '@orbitkit/core';
import {
  fixed,
  groups,
  headerNames,
  headerValues,
  methods,
  parameters,
  resources,
  served,
  subresources,
  traversals,
  types,
  values,
} from './hostile-words.js';

export interface Chance {
  below(count: number): number;
  one<T>(values: readonly T[]): T;
  /** With this probability. */
  happens(share: number): boolean;
  text(length: number): string;
}

export function chanceOf(random: Random): Chance {
  const below = (count: number) => Math.floor(random() * count);
  const one = <T>(values: readonly T[]): T => values[below(values.length)]!;
  const odd = [
    '\0',
    '\r',
    '\n',
    '\t',
    ' ',
    '%',
    '/',
    '\\',
    '..',
    '"',
    "'",
    '`',
    '$(id)',
    ';',
    '|',
    '&',
    '<',
    '\u00e9',
    '\u202e',
    '\ud800',
    '{',
    '}',
    '[',
    ']',
    ':',
  ];
  return {
    below,
    one,
    happens: share => random() < share,
    text(length) {
      let text = '';
      while (text.length < length)
        text += random() < 0.15 ? one(odd) : 'abcdefghijklmnopqrstuvwxyz0123456789-.'.charAt(below(38));
      return text;
    },
  };
}

function name(chance: Chance): string {
  if (chance.happens(0.5)) return chance.one(['a', 'default', 'kube-system', 'web-0', 'system:node']);
  if (chance.happens(0.1)) return 'x'.repeat(1 + chance.below(3_000));
  return encodeURIComponent(chance.text(1 + chance.below(20)).replace(/[\ud800-\udfff]/g, '?'));
}

type Served = (typeof served)[number];

function pathOf(chance: Chance, known: Served | undefined): string {
  if (known !== undefined) {
    const [group, plural] = known;
    let path = `${group}/namespaces/default/${plural}`;
    if (chance.happens(0.6)) path += chance.happens(0.8) ? '/a' : `/${name(chance)}`;
    if (chance.happens(0.2)) path += `/${chance.one(subresources)}`;
    return path;
  }
  if (chance.happens(0.12)) return chance.one(traversals);
  if (chance.happens(0.12)) return chance.one(fixed);
  let path = chance.one(groups);
  if (chance.happens(0.7)) path += `/namespaces/${name(chance)}`;
  if (chance.happens(0.9)) path += `/${chance.one(resources)}`;
  if (chance.happens(0.6)) path += `/${name(chance)}`;
  if (chance.happens(0.3)) path += `/${chance.one(subresources)}`;
  if (chance.happens(0.05)) path += '/'.repeat(1 + chance.below(200));
  if (chance.happens(0.03)) path += `/${'a/'.repeat(chance.below(3_000))}`;
  return path;
}

function queryOf(chance: Chance): string {
  if (chance.happens(0.4)) return '';
  const count = chance.happens(0.02) ? 200 + chance.below(2_000) : 1 + chance.below(4);
  return `?${Array.from({ length: count }, () => {
    const value = chance.happens(0.8)
      ? chance.one(values)
      : chance.text(chance.below(30)).replace(/[\ud800-\udfff]/g, '?');
    return `${chance.one(parameters)}${chance.happens(0.9) ? `=${chance.happens(0.8) ? encodeURIComponent(value) : value.replace(/[\0-\x20\x7f-\uffff]/g, '+')}` : ''}`;
  }).join('&')}`;
}

function headersOf(chance: Chance): [string, string][] {
  const headers: [string, string][] = [];
  const count = chance.happens(0.02) ? 100 + chance.below(400) : chance.below(5);
  for (let i = 0; i < count; i++) {
    const value = chance.happens(0.85)
      ? chance.one(headerValues)
      : chance.happens(0.1)
        ? 'y'.repeat(chance.below(20_000))
        : chance.text(chance.below(40)).replace(/[\0\r\n\ud800-\udfff\u0100-\uffff]/g, '?');
    headers.push([chance.one(headerNames), value]);
  }
  return headers;
}

function value(chance: Chance, depth: number): unknown {
  switch (chance.below(depth > 4 ? 6 : 9)) {
    case 0:
      return null;
    case 1:
      return chance.happens(0.5);
    case 2:
      return chance.one([0, -1, 1.5, 1e308, -0, 2 ** 53, 2 ** 31]);
    case 3:
      return chance.one(['', 'a', 'x'.repeat(300), '2020-01-01T00:00:00Z', '100m', '1Gi', '{{', '$(x)']);
    case 4:
      return chance.text(chance.below(20));
    case 5:
      return [];
    case 6:
      return Array.from({ length: chance.below(4) }, () => value(chance, depth + 1));
    default:
      return Object.fromEntries(
        Array.from({ length: chance.below(5) }, () => [
          chance.one([
            'metadata',
            'spec',
            'name',
            'namespace',
            'labels',
            'annotations',
            'containers',
            'image',
            'ports',
            'data',
            'finalizers',
            'ownerReferences',
            'managedFields',
            'template',
            'kind',
            'apiVersion',
            '__proto__',
            'constructor',
            '$patch',
            '$setElementOrder/containers',
            '$retainKeys',
            '$deleteFromPrimitiveList/finalizers',
            'status',
          ]),
          value(chance, depth + 1),
        ]),
      );
  }
}

function object(chance: Chance, known: Served | undefined): unknown {
  if (chance.happens(0.2)) return value(chance, 0);
  if (known !== undefined && chance.happens(0.6)) {
    const [, , kind, apiVersion] = known;
    const body: Record<string, unknown> = {
      apiVersion,
      kind,
      metadata: { name: chance.one(['a', 'b', 'c-1', undefined]), labels: { a: 'b' } },
    };
    for (let i = chance.below(3); i > 0; i--)
      body[chance.one(['spec', 'data', 'status', 'type', 'immutable', 'stringData'])] = value(chance, 1);
    if (chance.happens(0.4))
      body['spec'] = {
        containers: [{ name: 'c', image: 'i', env: value(chance, 3), resources: value(chance, 3) }],
        ports: value(chance, 3),
        selector: value(chance, 3),
        template: value(chance, 2),
        replicas: 1,
      };
    return body;
  }
  const made: Record<string, unknown> = {
    apiVersion: chance.one(['v1', 'apps/v1', 'v9', 5]),
    kind: chance.one(['Pod', 'ConfigMap', 'Deployment', 'DeleteOptions', 'Nope', null]),
    metadata: {
      name: chance.one(['a', 'A_B', '', '../x', 'x'.repeat(300)]),
      labels: chance.happens(0.3) ? value(chance, 2) : { a: 'b' },
    },
    spec: chance.happens(0.5)
      ? value(chance, 1)
      : { containers: [{ name: 'c', image: 'i', ports: value(chance, 3) }], replicas: chance.one([1, -5, 'x']) },
    data: value(chance, 2),
  };
  return made;
}

/** A patch, a configuration, an object, or something that is none, as bytes. */
function bodyOf(chance: Chance, type: string, known: Served | undefined): Buffer {
  let bytes: Buffer;
  if (chance.happens(0.06))
    bytes = Buffer.from(chance.one(['[', '{"a":', '{"metadata":{"labels":']).repeat(100 + chance.below(20_000)));
  else if (chance.happens(0.04)) bytes = Buffer.from('- '.repeat(chance.below(3_000)));
  else if (chance.happens(0.03))
    bytes = Buffer.from(
      `a: &a [x,x,x,x,x,x,x,x]\n${'bcdefghij'
        .split('')
        .map((each, i) => `${each}: &${each} [${`*${'abcdefghij'[i]},`.repeat(8)}x]`)
        .join('\n')}`,
    );
  else if (type.includes('json-patch'))
    bytes = Buffer.from(
      JSON.stringify(
        Array.from({ length: chance.happens(0.02) ? 11_000 : chance.below(40) }, () => ({
          op: chance.one(['add', 'remove', 'replace', 'move', 'copy', 'test', 'eval']),
          path: chance.one([
            '',
            '/',
            '/metadata',
            '/metadata/labels/a',
            '/data',
            '/data/x',
            '/spec/containers/-',
            '/spec/containers/0/image',
            '/a~1b~0',
            '/__proto__/x',
            'nope',
            '/-1',
          ]),
          from: chance.one(['', '/metadata', '/data', '/spec']),
          value: value(chance, 2),
        })),
      ),
    );
  else if (type.includes('yaml') && chance.happens(0.7))
    bytes = Buffer.from(
      chance.one([
        `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: ${JSON.stringify(value(chance, 2))}\n`,
        '%YAML 9.9\n---\n!!js/function x\n',
        '? [complex]\n: - &x *x\n',
        '---\na: 1\n---\nb: 2\n',
        '"\\ud800"',
        '<<: *nope',
        '\t- x',
        chance.text(200),
      ]),
    );
  else if (type.includes('protobuf'))
    bytes = Buffer.concat([
      chance.happens(0.8) ? Buffer.from('k8s\0') : Buffer.alloc(0),
      Buffer.from(
        Array.from({ length: chance.below(400) }, () =>
          chance.happens(0.4) ? chance.one([0x0a, 0x12, 0x1a, 0x22, 0xff, 0x80, 0x08]) : chance.below(256),
        ),
      ),
    ]);
  else bytes = Buffer.from(JSON.stringify(object(chance, known)) ?? 'null');
  // Spoil a byte, cut it off, double it.
  if (bytes.length > 0 && chance.happens(0.15)) bytes[chance.below(bytes.length)] = chance.below(256);
  if (chance.happens(0.05)) bytes = bytes.subarray(0, chance.below(bytes.length + 1));
  if (chance.happens(0.03)) bytes = Buffer.concat([bytes, bytes]);
  if (chance.happens(0.004)) bytes = Buffer.alloc((3 << 20) + chance.below(1 << 20), 'a');
  return bytes;
}

/** What is sent over one connection of HTTP/1.1. */
export interface HostileBytes {
  readonly family: 'request' | 'smuggling' | 'upgrade';
  readonly bytes: Buffer;
}

export function hostileRequest(chance: Chance): HostileBytes {
  if (chance.happens(0.12)) return smuggling(chance);
  if (chance.happens(0.1)) return upgrade(chance);
  const method = chance.happens(0.95) ? chance.one(methods) : chance.text(1 + chance.below(10));
  const known = chance.happens(0.55) ? chance.one(served) : undefined;
  const target = pathOf(chance, known) + queryOf(chance);
  const headers = headersOf(chance);
  const withBody = chance.happens(['GET', 'HEAD'].includes(method) ? 0.1 : 0.85);
  const type =
    known === undefined || chance.happens(0.3)
      ? chance.one(types)
      : method === 'PATCH'
        ? chance.one(types.slice(3, 7))
        : chance.one(types.slice(0, 3));
  const body = withBody ? bodyOf(chance, type, known) : Buffer.alloc(0);
  const head = [`${method} ${target} HTTP/1.${chance.happens(0.97) ? 1 : chance.one([0, 9])}`, 'Host: fuzz'];
  for (const [header, text] of headers) head.push(`${header}: ${text}`);
  if (type !== '') head.push(`Content-Type: ${type}`);
  if (chance.happens(0.1)) {
    head.push('Transfer-Encoding: chunked');
    const chunked = Buffer.concat([
      Buffer.from(`${body.length.toString(16)}\r\n`),
      body,
      Buffer.from(chance.happens(0.9) ? '\r\n0\r\n\r\n' : '\r\nzz\r\n'),
    ]);
    return {
      family: 'request',
      bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), chunked]),
    };
  }
  if (withBody || chance.happens(0.3))
    head.push(
      `Content-Length: ${chance.happens(0.97) ? body.length : chance.one(['-1', '1e3', '99999999999999999999', `${body.length} `, '+1', '0x1'])}`,
    );
  return { family: 'request', bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body]) };
}

/** Two lengths, two encodings, obsolete folding, bare line feeds: what proxies and servers have read differently. */
function smuggling(chance: Chance): HostileBytes {
  const inner = 'GET /api/v1/secrets HTTP/1.1\r\nHost: inner\r\n\r\n';
  const post =
    'POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: fuzz\r\nContent-Type: application/json\r\n';
  /** These two are two requests after all. */
  const pipelined = [0, 1].map(form =>
    form === 0
      ? `${post}Transfer-Encoding: chunked\r\n\r\n0;x=${'y'.repeat(chance.below(40_000))}\r\n\r\n${inner}`
      : `${post}Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n${inner}`,
  );
  if (chance.happens(0.1)) return { family: 'request', bytes: Buffer.from(chance.one(pipelined), 'latin1') };
  const forms = [
    `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${inner}0\r\n\r\n`,
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n${inner}`,
    `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${inner}`,
    `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`,
    `${post}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n${inner}`,
    `${post}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
    `${post}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`,
    `${post}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
    `GET /readyz HTTP/1.1\nHost: fuzz\n\n${inner}`,
    `GET /readyz HTTP/1.1\rHost: fuzz\r\r${inner}`,
    `${post}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n${inner}`,
    `GET http://evil/ HTTP/1.1\r\nHost: fuzz\r\nHost: other\r\n\r\n`,
    `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\0'.repeat(chance.below(100))}`,
    'GET /readyz\r\n\r\n',
    `GET /readyz HTTP/1.1\r\n${'A: b\r\n'.repeat(chance.below(20_000))}\r\n`,
    `\x16\x03\x01\x02\x00\x01\x00${chance.text(50)}\r\n\r\n`,
    `${chance.text(300)}\r\n\r\n`,
  ];
  return { family: 'smuggling', bytes: Buffer.from(chance.one(forms), 'latin1') };
}

function upgrade(chance: Chance): HostileBytes {
  const target = `${chance.one(['/api/v1/namespaces/default/pods/a/exec?command=id', '/api/v1/namespaces/default/pods/a/portforward?ports=80', '/api/v1/nodes/n/proxy/run/x', '/api/v1/namespaces/default/services/s/proxy/', '/api/v1/pods?watch=1', '/readyz'])}`;
  const head = [
    `${chance.one(['GET', 'POST', 'PUT'])} ${target} HTTP/1.1`,
    'Host: fuzz',
    `Connection: ${chance.one(['Upgrade', 'upgrade, keep-alive', 'close', 'keep-alive'])}`,
    `Upgrade: ${chance.one(['websocket', 'SPDY/3.1', 'h2c', 'TLS/1.0', 'WebSocket, h2c', '', 'x'.repeat(200)])}`,
  ];
  if (chance.happens(0.7)) head.push(`Sec-WebSocket-Key: ${chance.one(['dGhlIHNhbXBsZSBub25jZQ==', 'short', ''])}`);
  if (chance.happens(0.7)) head.push(`Sec-WebSocket-Version: ${chance.one(['13', '8', 'x'])}`);
  if (chance.happens(0.6))
    head.push(
      `Sec-WebSocket-Protocol: ${chance.one(['v5.channel.k8s.io', 'v4.channel.k8s.io', 'SPDY/3.1+portforward.k8s.io', 'base64url.bearer.authorization.k8s.io.!!!', ',,,'])}`,
    );
  if (chance.happens(0.3)) head.push('HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA');
  const junk = Buffer.from(Array.from({ length: chance.below(200) }, () => chance.below(256)));
  return { family: 'upgrade', bytes: Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), junk]) };
}

/** Frames after the preface: valid ones, spoiled ones and noise. */
export function hostileFrames(chance: Chance): Buffer {
  const frame = (type: number, flags: number, stream: number, payload: Buffer, length = payload.length) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(length & 0xffffff, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream >>> 0, 5);
    return Buffer.concat([head, payload]);
  };
  const get = Buffer.concat([
    Buffer.from([0x82, 0x87, 0x04, 7]),
    Buffer.from('/readyz'),
    Buffer.from([0x41, 1]),
    Buffer.from('x'),
  ]);
  const parts = [
    Buffer.from(chance.happens(0.95) ? 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' : 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n'),
  ];
  if (chance.happens(0.9)) parts.push(frame(4, 0, 0, Buffer.alloc(0)));
  const count = 1 + chance.below(12);
  for (let i = 0; i < count; i++) {
    const noise = Buffer.from(Array.from({ length: chance.below(60) }, () => chance.below(256)));
    const stream = chance.one([0, 1, 2, 3, 2 * i + 1, 0x7fffffff, 0xffffffff]);
    parts.push(
      chance.one([
        () => frame(1, chance.one([0x4, 0x5, 0x1, 0x0, 0xff]), 2 * i + 1, get),
        () => frame(1, 0x5, stream, noise),
        () => frame(0, chance.one([0, 1, 8, 9]), stream, noise),
        () => frame(9, chance.one([0, 4]), stream, noise),
        () => frame(3, 0, stream, noise.subarray(0, 4)),
        () => frame(4, 0, 0, noise),
        () => frame(5, 0, stream, noise),
        () => frame(6, 0, 0, noise.subarray(0, 8)),
        () => frame(7, 0, 0, noise),
        () => frame(8, 0, stream, Buffer.from([0x7f, 0xff, 0xff, chance.below(256)])),
        () => frame(chance.below(256), chance.below(256), stream, noise),
        () => frame(chance.below(10), 0, stream, noise, chance.below(0xffffff)),
        () => noise,
      ])(),
    );
  }
  return Buffer.concat(parts);
}
