/**
 * The forms of names, numbers and addresses in specs, beside those of metadata (meta/names.ts). Each check answers what is
 * wrong, or undefined. Rules: apimachinery `pkg/util/validation` (v0.33).
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';
import {
  dns1035LabelProblem,
  dnsLabelProblem,
  dnsSubdomainProblem,
  labelValueProblem,
  qualifiedNameProblem,
} from '../../meta/names.js';

/** An RFC 1123 label: names of namespaces, containers. At most 63 characters. */
export const isDnsLabel = (name: string): boolean => dnsLabelProblem(name) === undefined;
/** Labels joined by dots: names of most objects. At most 253 characters. */
export const isDnsSubdomain = (name: string): boolean => dnsSubdomainProblem(name) === undefined;
/** A label that also begins with a letter: names of services. At most 63 characters. */
export const isDns1035Label = (name: string): boolean => dns1035LabelProblem(name) === undefined;
/** A key of labels, annotations, taints and resources: `name`, or `example.com/name`. */
export const isQualifiedName = (name: string): boolean => qualifiedNameProblem(name) === undefined;
/** A label's value; the empty string is one. At most 63 characters. */
export const isLabelValue = (value: string): boolean => labelValueProblem(value) === undefined;

/** What keeps a number from being a port; undefined: nothing. 0 is none. */
export function portProblem(port: number): string | undefined {
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? undefined : 'must be between 1 and 65535, inclusive';
}

/** IANA service names: container and target ports. */
export function portNameProblem(name: string): string | undefined {
  if (name.length > 15) return 'must be no more than 15 characters';
  if (!/^[-a-z0-9]+$/.test(name)) return 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)';
  if (!/[a-z]/.test(name)) return 'must contain at least one letter (a-z)';
  if (name.includes('--')) return 'must not contain consecutive hyphens';
  if (name.startsWith('-') || name.endsWith('-')) return 'must not begin or end with a hyphen';
  return undefined;
}

/** A port by number or by name. */
export function portRefProblem(port: number | string): string | undefined {
  return typeof port === 'number' ? portProblem(port) : portNameProblem(port);
}

/** What keeps a text from naming an environment variable (relaxed names, 1.33); undefined: nothing. */
export function envNameProblem(name: string): string | undefined {
  if (/^[ -<>-~]+$/.test(name)) return undefined;
  return "a valid environment variable name must consist only of printable ASCII characters other than '='";
}

/** Keys of ConfigMaps and Secrets, which become file names. */
export function configKeyProblem(key: string): string | undefined {
  if (key.length > 253) return 'must be no more than 253 characters';
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    return `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`;
  }
  if (key === '.') return `must not be '.'`;
  if (key === '..') return `must not be '..'`;
  if (key.startsWith('..')) return `must not start with '..'`;
  return undefined;
}

/** What keeps a text from being an address of either family; undefined: nothing. */
export function ipProblem(text: string): string | undefined {
  return isIP(text) ? undefined : 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
}

export const isIpOfFamily = (text: string, family: 'IPv4' | 'IPv6'): boolean =>
  family === 'IPv4' ? isIPv4(text) : isIPv6(text);

/** What keeps a text from being an address range of either family; undefined: nothing. */
export function cidrProblem(text: string): string | undefined {
  const slash = text.indexOf('/');
  const address = text.slice(0, slash);
  const bits = text.slice(slash + 1);
  const most = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  if (slash > 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= most) return undefined;
  return 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
}

/** `25%`; numbers are judged by their own rule. */
export function percentProblem(text: string): string | undefined {
  if (/^[0-9]+%$/.test(text)) return undefined;
  return "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
}

/** A path below a volume or directory: relative, without `..`. */
export function subPathProblem(path: string): string | undefined {
  if (path.startsWith('/')) return 'must be a relative path';
  return backstepProblem(path);
}

export function backstepProblem(path: string): string | undefined {
  return path.split('/').includes('..') ? "must not contain '..'" : undefined;
}

/** A file inside a volume, as items of ConfigMaps, Secrets and the downward API name it. */
export function volumeFileProblem(path: string): string | undefined {
  const problem = subPathProblem(path);
  if (problem) return problem;
  return path.startsWith('..') ? "must not start with '..'" : undefined;
}

/** File modes of volumes. */
export function modeProblem(mode: number): string | undefined {
  return mode >= 0 && mode <= 0o777 ? undefined : 'must be a number between 0 and 0777 (octal), both inclusive';
}

/** Names that may be anything that fits between two slashes of a URL: roles, bindings, parameters. */
export function pathSegmentProblem(name: string): string | undefined {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  for (const part of ['/', '%']) if (name.includes(part)) return `may not contain '${part}'`;
  return undefined;
}
