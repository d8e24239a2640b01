/**
 * A name that Kubernetes accepts, as near as possible to the one given: lower case, `-` for what is not a letter or
 * digit, a letter first (RFC 1035, so that it serves as a service's name too), at most 63 characters.
 */
export function legalName(name: string): string {
  if (/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) && name.length <= 63) return name;
  const cleaned = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+/, '')
    .slice(0, 63)
    .replace(/-+$/, '');
  return cleaned || 'unnamed';
}
