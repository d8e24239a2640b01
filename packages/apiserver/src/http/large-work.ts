/**
 * Turns for work that holds the event loop for milliseconds (a piece of a long list: joined, framed, encrypted): one piece of one answer in each
 * round of the loop, whoever else waits, in the order in which they asked. A short request thus waits for one piece of others' work, not for
 * one of each long list that is under way.
 */
const waiting: (() => void)[] = [];
let armed = false;

function next(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(next);
  else armed = false;
}

export function turnForLargeWork(): Promise<void> {
  return new Promise(resolve => {
    waiting.push(resolve);
    if (armed) return;
    armed = true;
    setImmediate(next);
  });
}
