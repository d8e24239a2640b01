/**
 * Named formats: `format.named('dns1123Label')` is optional, `format.dns1123Label()` is there; `validate(text)` answers the problems, or none
 * when the text is in order. Source: apiserver `cel/library/format` (v0.33).
 */
import { Optional } from '@marcbachmann/cel-js';
import {
  dns1035LabelProblem,
  dnsLabelProblem,
  dnsSubdomainProblem,
  labelValueProblem,
  qualifiedNameProblem,
} from '@orbitkit/core';
import { hasFormat } from '../../crd/formats.js';
import type { CelEnvironment } from '../expression.js';

const type = 'kubernetes.NamedFormat';

class NamedFormat {
  constructor(readonly problem: (text: string) => string | undefined) {}
}

class FormatNamespace {}

/** generateName makes names of it: it may end where a name may not. */
const asPrefix =
  (problem: (text: string) => string | undefined) =>
  (text: string): string | undefined =>
    problem(text.replace(/-$/, 'a'));

const openApi =
  (name: string, why: string) =>
  (text: string): string | undefined =>
    hasFormat(name, text) ? undefined : why;

const formats: Readonly<Record<string, NamedFormat>> = Object.fromEntries(
  Object.entries({
    dns1123Label: dnsLabelProblem,
    dns1123Subdomain: dnsSubdomainProblem,
    dns1035Label: dns1035LabelProblem,
    dns1123LabelPrefix: asPrefix(dnsLabelProblem),
    dns1123SubdomainPrefix: asPrefix(dnsSubdomainProblem),
    dns1035LabelPrefix: asPrefix(dns1035LabelProblem),
    qualifiedName: qualifiedNameProblem,
    labelValue: labelValueProblem,
    uri: (text: string) => (URL.canParse(text) || text.startsWith('/') ? undefined : 'must be a valid URI'),
    uuid: openApi('uuid', 'does not match the UUID format'),
    byte: openApi('byte', 'invalid base64'),
    date: openApi('date', 'invalid date'),
    datetime: openApi('date-time', 'invalid datetime'),
  } satisfies Record<string, (text: string) => string | undefined>).map(([name, problem]) => [
    name,
    new NamedFormat(problem),
  ]),
);

export function namedFormatFunctions(environment: CelEnvironment): void {
  environment
    .registerType(type, { ctor: NamedFormat, fields: {} })
    .registerType('FormatNamespace', { ctor: FormatNamespace, fields: {} })
    .registerConstant('format', 'FormatNamespace', new FormatNamespace())
    .registerFunction(`FormatNamespace.named(string): optional<${type}>`, (_: unknown, name: string) =>
      Object.hasOwn(formats, name) ? Optional.of(formats[name]) : Optional.none(),
    )
    .registerFunction(`${type}.validate(string): optional<list<string>>`, ({ problem }: NamedFormat, text: string) => {
      const found = problem(text);
      return found === undefined ? Optional.none() : Optional.of([found]);
    });
  for (const [name, format] of Object.entries(formats))
    environment.registerFunction(`FormatNamespace.${name}(): ${type}`, () => format);
}
