/**
 * Shuffle sharding: each flow is dealt a hand of queues by its hash, so that two flows share all of their queues only by a rare accident,
 * and a flow that fills its whole hand leaves others at least one queue. The deal takes distinct queues, each equally likely
 * (apiserver `shufflesharding`: digits of the hash in falling bases).
 */

/** FNV-1a over UTF-16 units, twice, as 53 bits: enough for six cards of 128 (about 42 bits). */
export function flowHash(text: string): number {
  let low = 0x811c9dc5;
  let high = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit, 0x85ebca6b);
    high ^= high >>> 15;
  }
  low ^= low >>> 16;
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}

/** The hand of a flow: `handSize` distinct numbers below `deck`. */
export function deal(hash: number, deck: number, handSize: number): number[] {
  const hand: number[] = [];
  let rest = hash;
  for (let i = 0; i < handSize && i < deck; i++) {
    const left = deck - i;
    let card = rest % left;
    rest = Math.floor(rest / left);
    // The card-th of those that were not dealt yet.
    for (const dealt of [...hand].sort((a, b) => a - b)) if (card >= dealt) card++;
    hand.push(card);
  }
  return hand;
}
