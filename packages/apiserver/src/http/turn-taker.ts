/**
 * Over the memory store a request is nothing but promises: a caller in a loop would never let timers and sockets have their turn. What is
 * returned here resolves at once while the turn is young, and after the others' turn otherwise.
 */

/** Longest turn of callers that never wait for anything outside of the process. */
const longestTurnMs = 8;

export function turnTaker(): () => Promise<void> | undefined {
  let startedAt: number | undefined;
  const over = () => {
    startedAt = undefined;
  };
  return () => {
    if (startedAt === undefined) {
      startedAt = performance.now();
      setImmediate(over);
      return undefined;
    }
    if (performance.now() - startedAt < longestTurnMs) return undefined;
    return new Promise(resolve => setImmediate(resolve));
  };
}
