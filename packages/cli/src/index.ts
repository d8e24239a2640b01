/** @orbitkit/cli: the parts of `orbit` that other programs may build on. */
export { applyObject } from './commands/apply.js';
export type { Applied } from './commands/write-options.js';
export { execute, program, run } from './main.js';
export { objectName, openSession, type Session, withSession } from './session.js';
export { CommandError, type Terminal } from './terminal.js';
