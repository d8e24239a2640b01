/** Numbers of options objects: refused when they are given, by name. @throws Error */
export function atLeast(name: string, given: number | undefined, least: number): void {
  if (given !== undefined && !(Number.isFinite(given) && given >= least))
    throw new Error(`${name}: ${given}; give a number of at least ${least}`);
}
