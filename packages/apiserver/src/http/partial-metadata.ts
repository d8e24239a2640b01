/**
 * PartialObjectMetadata: an object's metadata and nothing else, for garbage collection and metadata informers. The form is made once
 * per object version and shared by all who ask for it.
 */
import type { ObjectBytes } from '../registry/contract.js';

type Version = 'v1' | 'v1beta1';
const made: Record<Version, WeakMap<ObjectBytes, Buffer>> = { v1: new WeakMap(), v1beta1: new WeakMap() };

export function partialMetadata(item: ObjectBytes, version: Version): Buffer {
  let bytes = made[version].get(item);
  if (!bytes) {
    const metadata = JSON.stringify(item.object().metadata);
    bytes = Buffer.from(
      `{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/${version}","metadata":${metadata}}`,
    );
    made[version].set(item, bytes);
  }
  return bytes;
}
