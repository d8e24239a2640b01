/** Columns of admission webhooks and policies. Rules: data/printer-columns.json. */
import type { admissionregistrationv1 } from '../generated/types/index.js';
import type { Column } from '../kind.js';
import { ageColumn, column, nameColumn, selectorText } from './column.js';

type Webhooks =
  | admissionregistrationv1.MutatingWebhookConfiguration
  | admissionregistrationv1.ValidatingWebhookConfiguration;

export const webhookColumns: readonly Column<Webhooks>[] = [
  nameColumn,
  column('Webhooks', 'How many there are.', ({ webhooks }) => webhooks?.length ?? 0, { type: 'integer' }),
  ageColumn,
];

const unset = '<unset>';

export const admissionPolicyColumns: readonly Column<admissionregistrationv1.ValidatingAdmissionPolicy>[] = [
  nameColumn,
  column('Validations', 'How many rules there are.', ({ spec }) => spec?.validations?.length ?? 0, { type: 'integer' }),
  column('ParamKind', 'What its parameters are.', ({ spec }) =>
    spec?.paramKind ? `${spec.paramKind.apiVersion ?? ''}/${spec.paramKind.kind ?? ''}` : unset,
  ),
  ageColumn,
];

function paramText(ref: admissionregistrationv1.ParamRef | undefined): string {
  if (!ref) return unset;
  if (ref.name) return `${ref.namespace || '*'}/${ref.name}`;
  return selectorText(ref.selector, { empty: '<none>', invalid: '<error>' });
}

export const admissionPolicyBindingColumns: readonly Column<admissionregistrationv1.ValidatingAdmissionPolicyBinding>[] =
  [
    nameColumn,
    column('PolicyName', 'What it binds.', ({ spec }) => spec?.policyName ?? ''),
    column('ParamRef', 'With which parameters.', ({ spec }) => paramText(spec?.paramRef)),
    ageColumn,
  ];
