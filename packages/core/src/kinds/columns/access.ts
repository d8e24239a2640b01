/** Columns of who may do what: role bindings and certificate signing requests. Rules: data/printer-columns.json. */
import type { certificatesv1, rbacv1 } from '../generated/types/index.js';
import { humanDuration } from '../human-duration.js';
import type { Column } from '../kind.js';
import { ageColumn, column, nameColumn, none } from './column.js';

type Bound = rbacv1.RoleBinding | rbacv1.ClusterRoleBinding;

const subjectsOf = ({ subjects }: Bound, kind: string): rbacv1.Subject[] =>
  (subjects ?? []).filter(subject => subject.kind === kind);

export const roleBindingColumns: readonly Column<Bound>[] = [
  nameColumn,
  column('Role', 'What the subjects may do.', ({ roleRef }) => `${roleRef.kind}/${roleRef.name}`),
  ageColumn,
  column('Users', 'Users it holds for.', binding => names(subjectsOf(binding, 'User')), { wide: true }),
  column('Groups', 'Groups it holds for.', binding => names(subjectsOf(binding, 'Group')), { wide: true }),
  column(
    'ServiceAccounts',
    'Service accounts it holds for.',
    binding =>
      subjectsOf(binding, 'ServiceAccount')
        .map(({ namespace, name }) => `${namespace ?? ''}/${name}`)
        .join(', '),
    { wide: true },
  ),
];

const names = (subjects: readonly rbacv1.Subject[]): string => subjects.map(({ name }) => name).join(', ');

function conditionText({ status }: certificatesv1.CertificateSigningRequest): string {
  const has = (type: string): boolean => status?.conditions?.some(condition => condition.type === type) ?? false;
  let text = has('Denied') ? 'Denied' : has('Approved') ? 'Approved' : 'Pending';
  if (has('Failed')) text += ',Failed';
  if (status?.certificate) text += ',Issued';
  return text;
}

export const signingRequestColumns: readonly Column<certificatesv1.CertificateSigningRequest>[] = [
  nameColumn,
  ageColumn,
  column('SignerName', 'Who is asked to sign.', ({ spec }) => spec.signerName || none),
  column('Requestor', 'Who asks.', ({ spec }) => spec.username ?? ''),
  column('RequestedDuration', 'For how long.', ({ spec }) =>
    spec.expirationSeconds === undefined ? none : humanDuration(spec.expirationSeconds * 1000),
  ),
  column('Condition', 'What has been decided.', conditionText),
];
