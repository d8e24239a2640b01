/** What controllers read out of the errors of their calls, whatever was thrown. */
import { isForbidden } from '@orbitkit/core';

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The namespace is on its way out (admission's `NamespaceLifecycle`): what was to be made in it is needed no longer. */
export const isNamespaceTerminating = (error: unknown): boolean =>
  isForbidden(error) && error.details.causes?.some(({ reason }) => reason === 'NamespaceTerminating') === true;
