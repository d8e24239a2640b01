/** What a server says of a definition: accepted names and conditions. Pure; whoever writes it compares and swaps. */
import { formatTime } from '@orbitkit/core';
import { acceptNames, type TakenNames } from './accepted-names.js';
import { approvalOf } from './approval.js';
import { withCondition, withoutCondition } from './conditions.js';
import type { Definition } from './custom-kind.js';
import { isTrue } from './definition-rules.js';
import { structuralOf } from './structural.js';
import { structuralErrors } from './structural-rules.js';

type Status = Definition['status'];

/** The very status of the definition when there is nothing new to say. */
export function statusOf(definition: Definition, taken: TakenNames, now: number): Status {
  const lastTransitionTime = formatTime(now);
  const { accepted, conflict } = acceptNames(definition, taken);
  const before = definition.status ?? {};
  let status: Status =
    JSON.stringify(sorted(accepted)) === JSON.stringify(sorted(before.acceptedNames))
      ? before
      : { ...before, acceptedNames: accepted };
  const set = (type: string, value: boolean, reason: string, message: string): void => {
    status = withCondition(status, { type, status: value ? 'True' : 'False', reason, message, lastTransitionTime });
  };
  if (conflict) set('NamesAccepted', false, conflict.reason, conflict.message);
  else set('NamesAccepted', true, 'NoConflicts', 'no conflicts found');
  // Once established it stays so, with the names that it has.
  if (!isTrue(definition, 'Established')) {
    if (conflict) set('Established', false, 'NotAccepted', 'not all names are accepted');
    else set('Established', true, 'InitialNamesAccepted', 'the initial names have been accepted');
  }
  const violations = definition.spec.versions.flatMap((version, i) =>
    structuralErrors(structuralOf(version.schema?.openAPIV3Schema), `spec.versions[${i}].schema.openAPIV3Schema`),
  );
  if (version1(definition) && violations.length > 0) {
    const text = violations.slice(0, 5).map(({ field, message }) => `${field}: ${message}`);
    set('NonStructuralSchema', true, 'Violations', text.join(', '));
  } else status = withoutCondition(status, 'NonStructuralSchema');
  const approval = approvalOf(definition);
  if (approval) set('KubernetesAPIApprovalPolicyConformant', approval.approved, approval.reason, approval.message);
  else status = withoutCondition(status, 'KubernetesAPIApprovalPolicyConformant');
  return status;
}

/** Definitions that keep everything need no structural schema. */
const version1 = ({ spec }: Definition): boolean => spec.preserveUnknownFields !== true;

function sorted(names: object | undefined): object {
  return Object.fromEntries(Object.entries(names ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)));
}
