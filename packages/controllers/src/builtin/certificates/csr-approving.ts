/**
 * Approves what needs no person: a node's client certificate, asked for by somebody who may create `certificatesigningrequests/nodeclient`,
 * or by the node itself (`selfnodeclient`) when it renews its own. Serving certificates are always a person's matter.
 * Source: upstream `pkg/controller/certificates/approver/sarapprove.go`; conditions and texts are its.
 */
import { CertificateSigningRequest, SubjectAccessReview } from '@orbitkit/core';
import type { Controller } from '../../controller.js';
import { controller } from '../../controller-builder.js';
import { type CertificateRequestFacts, nodeClientProblem, nodeClientSigner } from './signers.js';

/** How a request is read: controllers know no certificates. */
export interface CsrApprovingOptions {
  /** Reads a PKCS#10 request in PEM form. @throws Error */
  read(request: string): Promise<CertificateRequestFacts>;
}

interface Recognizer {
  readonly permission: string;
  readonly message: string;
  applies(request: CertificateSigningRequest, facts: CertificateRequestFacts): boolean;
}

const recognizers: readonly Recognizer[] = [
  {
    permission: 'selfnodeclient',
    message: 'Auto approving self kubelet client certificate after SubjectAccessReview.',
    applies: ({ spec }, { commonName }) => spec.username === commonName,
  },
  {
    permission: 'nodeclient',
    message: 'Auto approving kubelet client certificate after SubjectAccessReview.',
    applies: () => true,
  },
];

/** The controller `certificatesigningrequest-approving-controller`. */
export function csrApproving({ read }: CsrApprovingOptions): Controller {
  return controller(CertificateSigningRequest)
    .named('certificatesigningrequest-approving-controller')
    .reconcile(async ({ object, client }) => {
      const conditions = object.status?.conditions ?? [];
      const decided = conditions.some(({ type }) => type === 'Approved' || type === 'Denied');
      if (decided || object.status?.certificate || object.spec.signerName !== nodeClientSigner) return;
      const facts = await read(Buffer.from(object.spec.request, 'base64').toString()).catch(() => undefined);
      if (facts === undefined || nodeClientProblem(facts, object.spec) !== undefined) return;
      for (const recognizer of recognizers) {
        if (!recognizer.applies(object, facts) || !(await allowed(object, recognizer.permission))) continue;
        const approved = { type: 'Approved', status: 'True', reason: 'AutoApproved', message: recognizer.message };
        await client.updateSubresource(CertificateSigningRequest, { name: object.metadata.name }, 'approval', {
          ...object,
          status: { ...object.status, conditions: [...conditions, approved] },
        });
        return;
      }

      async function allowed({ spec }: CertificateSigningRequest, subresource: string): Promise<boolean> {
        const review = await client.create(SubjectAccessReview, {
          metadata: {},
          spec: {
            ...(spec.username ? { user: spec.username } : {}),
            ...(spec.uid ? { uid: spec.uid } : {}),
            ...(spec.groups ? { groups: spec.groups } : {}),
            ...(spec.extra ? { extra: spec.extra } : {}),
            resourceAttributes: {
              group: 'certificates.k8s.io',
              version: '*',
              resource: 'certificatesigningrequests',
              verb: 'create',
              subresource,
            },
          },
        } as never);
        return review.status.allowed;
      }
    });
}
