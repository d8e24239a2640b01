/** @orbitkit/core/zod: kinds of one's own from zod schemas, and their CustomResourceDefinitions. zod is an optional peer; only this needs it. */
export { type CrdOptions, crdOf } from './crd-of.js';
export { type ColumnDefinition, type DefinedObject, defineKind, type KindDefinition } from './define-kind.js';
