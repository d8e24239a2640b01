/** Which object a JSON text is of, and in which version, found in its bytes without parsing it. */
import { bytesAre, skipJsonValue, visitMembers } from '@orbitkit/core';

export interface ObjectIdentity {
  name: string;
  /** Empty for a cluster-scoped object. */
  namespace: string;
  uid: string;
  resourceVersion: string;
}

const backslash = 0x5c;
/** Objects of one namespace tend to follow each other: then their namespace is one string. */
let lastNamespace = '';

/** @throws SyntaxError when it is no JSON object as far as it had to be read, or has no name. */
export function identityOf(bytes: Buffer, start: number): ObjectIdentity {
  const identity: ObjectIdentity = { name: '', namespace: '', uid: '', resourceVersion: '' };
  let missing = 4;
  const member = (nameStart: number, nameEnd: number, value: number): boolean | number => {
    const field = fieldOf(bytes, nameStart, nameEnd);
    if (field === undefined) return false;
    const end = skipJsonValue(bytes, value);
    identity[field] = field === 'namespace' ? namespaceAt(bytes, value, end) : stringAt(bytes, value, end);
    return --missing === 0 ? true : end;
  };
  visitMembers(bytes, start, (nameStart, nameEnd, value) => {
    if (!bytesAre(bytes, nameStart, nameEnd, 'metadata')) return false;
    visitMembers(bytes, value, member);
    return true;
  });
  if (identity.name === '') throw new SyntaxError('an object without metadata.name');
  return identity;
}

/** By length first: the members of a metadata have nine lengths. */
function fieldOf(bytes: Buffer, start: number, end: number): keyof ObjectIdentity | undefined {
  const length = end - start;
  if (length === 3) return bytesAre(bytes, start, end, 'uid') ? 'uid' : undefined;
  if (length === 4) return bytesAre(bytes, start, end, 'name') ? 'name' : undefined;
  if (length === 9) return bytesAre(bytes, start, end, 'namespace') ? 'namespace' : undefined;
  if (length === 15) return bytesAre(bytes, start, end, 'resourceVersion') ? 'resourceVersion' : undefined;
  return undefined;
}

function namespaceAt(bytes: Buffer, start: number, end: number): string {
  if (!bytesAre(bytes, start + 1, end - 1, lastNamespace)) lastNamespace = stringAt(bytes, start, end);
  return lastNamespace;
}

function stringAt(bytes: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if (bytes[i] === backslash) return String(JSON.parse(bytes.toString('utf8', start, end)));
  }
  return bytes.toString('utf8', start + 1, end - 1);
}

/** The labels of the object that begins at `start`, without parsing anything else of it. */
export function labelsOf(bytes: Buffer, start: number): Record<string, string> | undefined {
  let labels: Record<string, string> | undefined;
  visitMembers(bytes, start, (nameStart, nameEnd, value) => {
    if (!bytesAre(bytes, nameStart, nameEnd, 'metadata')) return false;
    return visitMembers(bytes, value, (fieldStart, fieldEnd, at) => {
      if (!bytesAre(bytes, fieldStart, fieldEnd, 'labels')) return false;
      labels = JSON.parse(bytes.toString('utf8', at, skipJsonValue(bytes, at))) ?? undefined;
      return true;
    });
  });
  return labels;
}
