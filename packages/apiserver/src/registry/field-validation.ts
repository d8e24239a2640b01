/**
 * What happens to fields that a kind does not have, and to fields that came twice: Strict refuses, Warn (the default) says so in
 * warnings, Ignore is silent. Texts: kube-wire.md 9.2.
 */
import { badRequest, type Kind } from '@orbitkit/core';
import type { RequestContext, WriteOptions } from './contract.js';

export function reportFields(
  context: RequestContext,
  kind: Kind,
  unknown: readonly string[],
  duplicate: readonly string[],
  { fieldValidation = 'Warn' }: WriteOptions,
  isPatch = false,
): void {
  if (fieldValidation === 'Ignore' || (unknown.length === 0 && duplicate.length === 0)) return;
  const problems = [
    ...unknown.map(path => `unknown field "${path}"`),
    ...duplicate.map(path => `duplicate field "${path}"`),
  ];
  if (fieldValidation === 'Warn') {
    for (const problem of problems) context.warn(problem);
    return;
  }
  const strict = `strict decoding error: ${problems.join(', ')}`;
  throw badRequest(
    isPatch ? strict : `${kind.kind} in version "${kind.version}" cannot be handled as a ${kind.kind}: ${strict}`,
  );
}
