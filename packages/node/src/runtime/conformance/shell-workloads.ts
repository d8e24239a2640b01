/**
 * Workloads for a runtime whose images have a POSIX shell. What isolation is tested with is a small program for Node or
 * Python, whichever the image has.
 */
import type { Workload, Workloads } from './subject.js';

/** The image that the workloads run in. */
export interface ShellWorkloadOptions {
  /** An image with `sh`, `sleep`, `cat`, `printenv` and `stty`. */
  image: string;
  unknownImage: string;
  /** The interpreter in that image, by name or path. */
  interpreter: { node: string } | { python: string };
}

const nodeListens = `const [host, port, answer] = process.argv.slice(1);
require('net').createServer(s => { s.on('error', () => {}); s.end(answer); }).listen(+port, host === 'pod' ? process.env.POD_IP : host);`;
const pythonListens = `import os,socket,sys
s=socket.socket();s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)
s.bind((os.environ["POD_IP"] if sys.argv[1]=="pod" else sys.argv[1],int(sys.argv[2])));s.listen()
while True:
  c,_=s.accept();c.sendall(sys.argv[3].encode());c.shutdown(socket.SHUT_WR)
  while c.recv(4096): pass
  c.close()`;
const nodeConnects = `const s = require('net').connect(+process.argv[2], process.argv[1], () => process.exit(0));
s.on('error', e => { console.error(e.message); process.exit(1); }); setTimeout(() => process.exit(2), 3000);`;
const pythonConnects = `import socket,sys
socket.create_connection((sys.argv[1],int(sys.argv[2])),3)`;
const nodeHog = `globalThis.held = []; for (let i = 0; i < 64; i++) held.push(Buffer.alloc(4 << 20, 1)); setInterval(() => {}, 1000);`;
const pythonHog = `import time
held=b"x"*(256<<20)
time.sleep(600)`;

/** The programs that the suite needs, as shell scripts. */
export function shellWorkloads(options: ShellWorkloadOptions): Workloads {
  const { image } = options;
  const shell = (script: string, ...args: string[]): Workload => ({
    image,
    command: ['sh', '-c', script, 'sh', ...args],
  });
  const [interpreter, listens, connects, hog] =
    'node' in options.interpreter
      ? [[options.interpreter.node, '-e'], nodeListens, nodeConnects, nodeHog]
      : [[options.interpreter.python, '-c'], pythonListens, pythonConnects, pythonHog];
  return {
    sleeps: { image, command: ['sh', '-c', 'trap "exit 0" TERM; sleep 600 & wait'] },
    stubborn: shell('trap "" TERM; echo ready; while :; do sleep 0.2; done'),
    exits: code => shell('exit "$1"', `${code}`),
    killsItself: shell('kill -9 $$'),
    prints: (stdout, stderr) =>
      shell('trap "exit 0" TERM; printf %s "$1"; printf %s "$2" >&2; sleep 600 & wait', stdout, stderr),
    echoes: { image, command: ['cat'] },
    unstartable: { image, command: ['/no/such/program'] },
    unknownImage: options.unknownImage,
    exec: {
      prints: (stdout, stderr) => ['sh', '-c', 'printf %s "$1"; printf %s "$2" >&2', 'sh', stdout, stderr],
      exits: code => ['sh', '-c', `exit ${code}`],
      cat: ['cat'],
      sleeps: ['sleep', '60'],
      missing: ['/no/such/program'],
      variable: name => ['printenv', name],
      terminalSize: ['sh', '-c', 'sleep 0.5; stty size'],
    },
    real: {
      listens: (host, port, answer) => ({ image, command: [...interpreter, listens, host, `${port}`, answer] }),
      connects: (host, port) => [...interpreter, connects, host, `${port}`],
      reads: path => ['cat', path],
      writes: (path, word) => ['sh', '-c', 'echo "$2" > "$1"', 'sh', path, word],
      busy: shell('while :; do :; done'),
      hog: { image, command: [...interpreter, hog] },
    },
  };
}
