/** What a key of the contract is. */
const loneSurrogate = /\p{Surrogate}/u;

/** @throws TypeError */
export function checkKey(key: string): void {
  if (key.includes('\0') || loneSurrogate.test(key)) {
    throw new TypeError(`a key must be well-formed Unicode without NUL: ${JSON.stringify(key)}`);
  }
}
