/** Runs the plugins of a composition, mutating ones first, in their order; see contract.ts. */
import { isStatusError, StatusError } from '@orbitkit/core';
import type { AdmissionPlugin, AdmissionReader, AdmissionRequest } from './contract.js';

export interface AdmissionChain {
  /** Lets plugins change the object. */
  admit(request: AdmissionRequest): Promise<void>;
  /** Lets plugins refuse the finished object. */
  validate(request: AdmissionRequest): Promise<void>;
}

export function admissionChain(plugins: readonly AdmissionPlugin[], reader: AdmissionReader): AdmissionChain {
  const admitting = plugins.filter(plugin => plugin.admit);
  const validating = plugins.filter(plugin => plugin.validate);

  async function run(plugin: AdmissionPlugin, step: 'admit' | 'validate', request: AdmissionRequest): Promise<void> {
    try {
      const result = plugin[step]!(request, reader);
      if (result !== undefined) await result;
    } catch (error) {
      if (isStatusError(error) || request.signal.aborted) throw error;
      throw new StatusError(
        'InternalError',
        `Internal error occurred: admission plugin "${plugin.name}" failed: ${error instanceof Error ? error.message : String(error)}`,
        { cause: error },
      );
    }
  }

  return {
    async admit(request) {
      for (const plugin of admitting) await run(plugin, 'admit', request);
    },
    async validate(request) {
      for (const plugin of validating) await run(plugin, 'validate', request);
    },
  };
}
