/** Names of service accounts as users: `system:serviceaccount:NAMESPACE:NAME`, in the groups of all accounts and of their namespace's. */
const prefix = 'system:serviceaccount:';
const serviceAccountsGroup = 'system:serviceaccounts';

export const serviceAccountUser = (namespace: string, name: string): string => `${prefix}${namespace}:${name}`;

export const serviceAccountGroups = (namespace: string): string[] => [
  serviceAccountsGroup,
  `${serviceAccountsGroup}:${namespace}`,
];

/** Undefined: the user is no service account. */
export function serviceAccountOf(username: string): { namespace: string; name: string } | undefined {
  if (!username.startsWith(prefix)) return undefined;
  const [namespace, name, ...rest] = username.slice(prefix.length).split(':');
  return namespace && name && rest.length === 0 ? { namespace, name } : undefined;
}
