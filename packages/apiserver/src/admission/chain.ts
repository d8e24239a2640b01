/** Runs the plugins of a composition, mutating ones first, in their order; see contract.ts. */
import { type DynamicObject, isStatusError, type Kind, StatusError } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';

export interface AdmissionChain {
  /** Lets plugins change the object. */
  admit(request: AdmissionRequest): Promise<void>;
  /** Lets plugins refuse the finished object. */
  validate(request: AdmissionRequest): Promise<void>;
  /** Tells plugins of an object that has vanished. Never rejects. */
  removed(kind: Kind, object: Readonly<DynamicObject>): Promise<void>;
}

export function admissionChain(plugins: readonly AdmissionPlugin[], cluster: AdmissionCluster): AdmissionChain {
  const admitting = plugins.filter(plugin => plugin.admit);
  const validating = plugins.filter(plugin => plugin.validate);
  const told = plugins.filter(plugin => plugin.removed);

  async function run(plugin: AdmissionPlugin, step: 'admit' | 'validate', request: AdmissionRequest): Promise<void> {
    try {
      const result = plugin[step]!(request, cluster);
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
    async removed(kind, object) {
      for (const plugin of told) {
        try {
          await plugin.removed!(kind, object, cluster);
        } catch {
          // The object is gone all the same; whoever counts counts anew some time.
        }
      }
    },
  };
}
