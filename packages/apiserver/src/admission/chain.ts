/** Runs the plugins of a composition, mutating ones first, in their order; see contract.ts. */
import { type DynamicObject, isStatusError, type Kind, StatusError } from '@orbitkit/core';
import type { AdmissionCluster, AdmissionPlugin, AdmissionRequest } from './contract.js';

/** The plugins of one composition, as the registry calls them. Each step throws what the first plugin that refuses throws. */
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

  function failed(plugin: AdmissionPlugin, request: AdmissionRequest, error: unknown): unknown {
    if (isStatusError(error) || request.signal.aborted) return error;
    return new StatusError(
      'InternalError',
      `Internal error occurred: admission plugin "${plugin.name}" failed: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }

  /** A promise only when the plugin waits: most are not about the write at hand. */
  function run(
    plugin: AdmissionPlugin,
    step: 'admit' | 'validate',
    request: AdmissionRequest,
  ): Promise<void> | undefined {
    let result: void | Promise<void>;
    try {
      result = plugin[step]!(request, cluster);
    } catch (error) {
      throw failed(plugin, request, error);
    }
    return result?.catch(error => {
      throw failed(plugin, request, error);
    });
  }

  return {
    async admit(request) {
      for (const plugin of admitting) {
        const pending = run(plugin, 'admit', request);
        if (pending) await pending;
      }
    },
    async validate(request) {
      for (const plugin of validating) {
        const pending = run(plugin, 'validate', request);
        if (pending) await pending;
      }
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
