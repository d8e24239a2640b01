/**
 * The query of a request, read on first use: most requests of controllers have one or two parameters, and many have none.
 */
export class Query {
  #params: URLSearchParams | undefined;

  /** @param text what stands after the `?`, percent-encoded. */
  constructor(readonly text: string) {}

  get #parsed(): URLSearchParams {
    this.#params ??= new URLSearchParams(this.text);
    return this.#params;
  }

  /** The first value; undefined when the parameter is absent or empty, which mean the same to Kubernetes. */
  get(name: string): string | undefined {
    if (this.text === '') return undefined;
    return this.#parsed.get(name) || undefined;
  }

  all(name: string): string[] {
    return this.text === '' ? [] : this.#parsed.getAll(name);
  }

  /** Present, be it without a value. */
  has(name: string): boolean {
    return this.text !== '' && this.#parsed.has(name);
  }

  /** Go's `ParseBool`, but present without a value is true, and what is none of the words is true too (apimachinery `Convert_Slice_string_To_bool`). */
  flag(name: string): boolean {
    if (!this.has(name)) return false;
    const value = this.#parsed.get(name)!.toLowerCase();
    return value !== 'false' && value !== '0';
  }
}

/** Parts a request target at its `?`. */
export function splitTarget(target: string): { path: string; query: Query } {
  const mark = target.indexOf('?');
  return mark < 0
    ? { path: target, query: new Query('') }
    : { path: target.slice(0, mark), query: new Query(target.slice(mark + 1)) };
}
