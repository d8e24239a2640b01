/**
 * What the signers of Kubernetes ask of a request, before it is approved by itself and before it is signed. Pure.
 * Source: upstream `pkg/apis/certificates/helpers.go`, `pkg/controller/certificates/signer`.
 */
import type { certificatesv1 } from '@orbitkit/core';

const clientSigner = 'kubernetes.io/kube-apiserver-client';
export const nodeClientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';
const nodeServingSigner = 'kubernetes.io/kubelet-serving';

/** What stands in a PKCS#10 request. */
export interface CertificateRequestFacts {
  readonly commonName: string;
  readonly organizations: readonly string[];
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  readonly emailAddresses: readonly string[];
  readonly uris: readonly string[];
}

type Spec = certificatesv1.CertificateSigningRequestSpec;

const nodesGroup = 'system:nodes';
const nodePrefix = 'system:node:';

function usagesProblem(usages: readonly string[] | undefined, required: readonly string[], allowed: readonly string[]) {
  const missing = required.filter(usage => !usages?.includes(usage));
  const foreign = (usages ?? []).filter(usage => !allowed.includes(usage));
  return missing.length > 0 || foreign.length > 0
    ? `usages did not match expected: required ${required.join(', ')}; allowed ${allowed.join(', ')}`
    : undefined;
}

const always = ['digital signature', 'key encipherment'];

function nodeSubjectProblem({ commonName, organizations }: CertificateRequestFacts): string | undefined {
  if (organizations.length !== 1 || organizations[0] !== nodesGroup) return 'organization is not system:nodes';
  return commonName.startsWith(nodePrefix) && commonName.length > nodePrefix.length
    ? undefined
    : 'subject common name does not begin with system:node:';
}

export function nodeClientProblem(facts: CertificateRequestFacts, { usages }: Spec): string | undefined {
  if (facts.dnsNames.length + facts.ipAddresses.length > 0) return 'DNS and IP subjectAltNames are not allowed';
  if (facts.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (facts.uris.length > 0) return 'URI subjectAltNames are not allowed';
  return (
    nodeSubjectProblem(facts) ?? usagesProblem(usages, ['digital signature', 'client auth'], [...always, 'client auth'])
  );
}

function nodeServingProblem(facts: CertificateRequestFacts, { usages }: Spec): string | undefined {
  if (facts.dnsNames.length + facts.ipAddresses.length === 0) return 'DNS or IP subjectAltName is required';
  if (facts.emailAddresses.length > 0) return 'Email subjectAltNames are not allowed';
  if (facts.uris.length > 0) return 'URI subjectAltNames are not allowed';
  return (
    nodeSubjectProblem(facts) ?? usagesProblem(usages, ['digital signature', 'server auth'], [...always, 'server auth'])
  );
}

const clientProblem = (_facts: CertificateRequestFacts, { usages }: Spec): string | undefined =>
  usagesProblem(usages, ['client auth'], [...always, 'client auth']);

/** Why the signer does not sign this; undefined: it does. */
export const signerProblems: Readonly<
  Record<string, (facts: CertificateRequestFacts, spec: Spec) => string | undefined>
> = {
  [clientSigner]: clientProblem,
  [nodeClientSigner]: nodeClientProblem,
  [nodeServingSigner]: nodeServingProblem,
};
