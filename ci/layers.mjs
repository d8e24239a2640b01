// Checks that arrows run downwards: a package imports only the packages below it, through their front doors, and nothing
// by a path that leaves its own folder. Test files may also use what stands beside them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const below = {
  core: [],
  informer: ['core'],
  apiserver: ['core'],
  scheduler: ['core', 'informer'],
  controllers: ['core', 'informer'],
  node: ['core', 'informer'],
  galaxy: ['core', 'node', 'apiserver/storage', 'apiserver/pki'],
  cli: ['core', 'informer', 'apiserver', 'scheduler', 'controllers', 'node', 'galaxy'],
};
/** Rooms with a wider view: test kits. */
const wider = [['controllers', 'src/testing/', ['apiserver']]];
/** Tests may use what would make a cycle in the product. */
const testsMay = {
  informer: ['apiserver'],
  scheduler: ['apiserver', 'controllers'],
  controllers: ['apiserver'],
  node: ['apiserver'],
  galaxy: ['apiserver'],
  apiserver: ['informer'],
};

function* files(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

const problems = [];
for (const [name, allowed] of Object.entries(below)) {
  for (const path of files(`packages/${name}/src`)) {
    const text = readFileSync(path, 'utf8');
    const isTest =
      /\.(test|prop\.test|test-d)\.tsx?$/.test(path) ||
      /\/(testing|test|fixtures?)\//.test(path) ||
      /fixture|test-/.test(path);
    const rooms = wider.filter(([of, room]) => of === name && path.includes(room)).flatMap(([, , extra]) => extra);
    const list = [...allowed, ...rooms, ...(isTest ? (testsMay[name] ?? []) : []), name];
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'(@orbitkit\/[^']+|\.[^']*)'/g)) {
      const target = match[1];
      if (target.startsWith('.')) {
        const resolved = join(path, '..', target);
        if (!resolved.startsWith(join('packages', name) + '/'))
          problems.push(`${path}: "${target}" leaves the package`);
        continue;
      }
      const inner = target.slice('@orbitkit/'.length);
      if (list.some(each => inner === each || inner.startsWith(`${each}/`))) continue;
      problems.push(`${path}: imports ${target}, which does not stand below ${name}`);
    }
  }
}
for (const problem of problems) console.error(problem);
console.log(
  problems.length === 0
    ? 'layers: every import runs downwards'
    : `layers: ${problems.length} imports do not run downwards`,
);
process.exitCode = problems.length === 0 ? 0 : 1;
