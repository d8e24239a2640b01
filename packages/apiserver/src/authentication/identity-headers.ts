/** How headers carry the groups and extras of a user, of a front proxy and of impersonation alike. Source: apiserver `authentication/request/headerrequest`. */

/** Headers that came several times are joined with ", ". */
export const valuesOf = (header: string | undefined): string[] =>
  header === undefined
    ? []
    : header
        .split(', ')
        .map(value => value.trim())
        .filter(value => value !== '');

/** Keys of extras are percent-encoded, since header names know no letters of two cases and no slashes. */
export function extraKey(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
