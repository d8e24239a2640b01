import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ContainerConfig } from '../contract.js';
import { catalogue, imageName } from './catalogue.js';

const config = (changes: Partial<ContainerConfig>): ContainerConfig => ({
  name: 'main',
  attempt: 0,
  image: 'busybox',
  env: [],
  mounts: [],
  resources: {},
  ports: [],
  labels: {},
  annotations: {},
  stdin: false,
  tty: false,
  ...changes,
});

describe('imageName', () => {
  it.each([
    ['nginx', 'nginx'],
    ['nginx:1.25', 'nginx'],
    ['docker.io/library/nginx:latest', 'nginx'],
    ['library/nginx', 'nginx'],
    ['orbitkit/echo:3', 'orbitkit/echo'],
    ['localhost/my/app', 'my/app'],
    ['registry.example:5000/team/app:v2@sha256:0123', 'team/app'],
    ['python@sha256:0123', 'python'],
  ])('%s is %s', (image, name) => expect(imageName(image)).toBe(name));

  it('is the same with any tag', () => {
    const tag = fc.stringMatching(/^[\w][\w.-]{0,20}$/);
    fc.assert(fc.property(tag, text => imageName(`team/app:${text}`) === 'team/app'));
  });
});

describe('the catalogue', () => {
  const images = catalogue({
    'my/image': {
      command: ['/opt/mine', '--serve'],
      args: ['--port', '80'],
      env: { MODE: 'test' },
      workingDir: '/opt',
    },
    'my/image:2': { command: ['/opt/mine2'] },
    nginx: { command: ['/usr/sbin/nginx'] },
    empty: { command: [] },
  });

  it("follows the rules of command and args as an image's entrypoint and its arguments", () => {
    const argv = (changes: Partial<ContainerConfig>) =>
      images.resolve(config({ image: 'my/image:1', ...changes })).argv;
    expect(argv({})).toEqual(['/opt/mine', '--serve', '--port', '80']);
    expect(argv({ args: ['--help'] })).toEqual(['/opt/mine', '--serve', '--help']);
    expect(argv({ command: ['sh'] })).toEqual(['sh']);
    expect(argv({ command: ['sh'], args: ['-c', 'true'] })).toEqual(['sh', '-c', 'true']);
  });

  it("gives an entry's environment and directory", () => {
    expect(images.resolve(config({ image: 'registry.example/my/image' }))).toMatchObject({
      env: { MODE: 'test' },
      workingDir: '/opt',
      imageId: 'process:my/image',
    });
  });

  it('takes the exact reference first, and own entries before built-in ones', () => {
    expect(images.resolve(config({ image: 'my/image:2' })).argv).toEqual(['/opt/mine2']);
    expect(images.resolve(config({ image: 'nginx:1.25' })).argv).toEqual(['/usr/sbin/nginx']);
  });

  it('runs the command of an unknown image from the machine', () => {
    expect(images.status('who/knows')).toBeUndefined();
    expect(images.status('who/knows', ['true'])).toMatchObject({ id: 'process:who/knows' });
    expect(images.pull('who/knows', ['true']).references).toEqual(['who/knows']);
    expect(images.resolve(config({ image: 'who/knows', command: ['true'] })).argv).toEqual(['true']);
  });

  it('says how to add what it does not know', () => {
    expect(() => images.pull('registry.example/who/knows:9')).toThrow(/processRuntime\({ catalogue: { 'who\/knows'/);
    expect(() => images.resolve(config({ image: 'who/knows' }))).toThrow(
      expect.objectContaining({ reason: 'ImageNotPresent' }),
    );
    expect(() => images.resolve(config({ image: 'empty' }))).toThrow(
      expect.objectContaining({ reason: 'InvalidConfig' }),
    );
  });

  it('says what is missing when Python is not installed', () => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nowhere';
    try {
      expect(images.status('python:3.12')).toBeUndefined();
      expect(() => images.pull('python:3.12')).toThrow(/apt-get install -y python3/);
    } finally {
      process.env['PATH'] = path;
    }
  });
});
