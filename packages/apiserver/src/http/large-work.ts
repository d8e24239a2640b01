/**
 * Turns for work that holds the event loop for milliseconds (a piece of a long list: joined, framed, encrypted): one piece in each round of
 * the loop, of the answer that began first among those that can go on. A short request thus waits for one piece of others' work, not for one
 * of each long list that is under way; and lists end one after the other instead of all at last.
 */
interface Waiting {
  readonly number: number;
  go(): void;
}

const waiting: Waiting[] = [];
let armed = false;
let answers = 0;

function next(): void {
  let first = 0;
  for (let at = 1; at < waiting.length; at++) if (waiting[at]!.number < waiting[first]!.number) first = at;
  waiting.splice(first, 1)[0]?.go();
  if (waiting.length > 0) setImmediate(next);
  else armed = false;
}

/** One answer's turns: call it before each piece. */
export function turnsForLargeWork(): () => Promise<void> {
  const number = answers++;
  return () =>
    new Promise(resolve => {
      waiting.push({ number, go: resolve });
      if (armed) return;
      armed = true;
      setImmediate(next);
    });
}
