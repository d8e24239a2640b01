/**
 * Does something many times, carefully: one first, then twice as many as before while all succeed. When everything is
 * refused (a quota, a wrong template) one call learns it instead of five hundred.
 */

/** @returns how many succeeded, and the first error. What was not tried counts as not done. */
export async function slowStart(
  count: number,
  call: (index: number) => Promise<void>,
): Promise<{ succeeded: number; error?: unknown }> {
  let succeeded = 0;
  for (let batch = 1; succeeded < count; batch *= 2) {
    const size = Math.min(batch, count - succeeded);
    const from = succeeded;
    const results = await Promise.allSettled(Array.from({ length: size }, (_, i) => call(from + i)));
    succeeded += results.filter(result => result.status === 'fulfilled').length;
    const failed = results.find(result => result.status === 'rejected');
    if (failed) return { succeeded, error: failed.reason };
  }
  return { succeeded };
}
