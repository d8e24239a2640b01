/**
 * `$(NAME)` in commands, arguments and values of the environment.
 *
 * `$(NAME)` becomes the variable's value; an unknown name stays as it is written; `$$` is one dollar, so that `$$(NAME)` is
 * the text `$(NAME)`. Nothing is expanded twice. Rules: kubernetes `third_party/forked/golang/expansion`.
 */
export function expand(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (match, name: string | undefined) =>
    name === undefined ? '$' : (lookup(name) ?? match),
  );
}
