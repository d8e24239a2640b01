/** Finalizers: an object is not gone before each of them was taken away by the one who put it there. */
interface Finalized {
  metadata: { finalizers?: string[] };
}

/** Whether this one is still to be taken away. */
export function hasFinalizer(object: { metadata: { finalizers?: readonly string[] } }, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) ?? false;
}

/** Adds it in place. False when it was there. */
export function addFinalizer(object: Finalized, finalizer: string): boolean {
  if (hasFinalizer(object, finalizer)) return false;
  object.metadata.finalizers = [...(object.metadata.finalizers ?? []), finalizer];
  return true;
}

/** Removes it in place. False when it was not there. */
export function removeFinalizer(object: Finalized, finalizer: string): boolean {
  if (!hasFinalizer(object, finalizer)) return false;
  object.metadata.finalizers = object.metadata.finalizers!.filter(each => each !== finalizer);
  return true;
}
