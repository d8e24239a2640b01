/**
 * Writing definitions: the versions in which objects may be stored are kept in `status.storedVersions`; a definition that is deleted stays,
 * Terminating, until its objects are gone. Source: apiextensions-apiserver `registry/customresourcedefinition` (v0.33).
 */
import { formatTime } from '@orbitkit/core';
import type { Strategy } from '../registry/strategy.js';
import { withCondition } from './conditions.js';
import type { Definition } from './custom-kind.js';

export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

export const definitionStrategy: Strategy = {
  versionRequired: true,
  prepareCreate(object) {
    const definition = object as unknown as Definition;
    const storage = definition.spec?.versions?.find(each => each.storage)?.name;
    definition.status = { storedVersions: storage === undefined ? [] : [storage] };
  },
  prepareUpdate(object) {
    const definition = object as unknown as Definition;
    const storage = definition.spec?.versions?.find(each => each.storage)?.name;
    const stored = definition.status?.storedVersions ?? [];
    if (storage === undefined || stored.includes(storage)) return;
    // The status is shared with what is stored.
    definition.status = { ...definition.status, storedVersions: [...stored, storage] };
  },
  beginDeletion(object, environment) {
    const definition = object as unknown as Definition;
    const finalizers = definition.metadata.finalizers ?? [];
    if (!finalizers.includes(cleanupFinalizer)) definition.metadata.finalizers = [...finalizers, cleanupFinalizer];
    definition.status = withCondition(definition.status ?? {}, {
      type: 'Terminating',
      status: 'True',
      reason: 'InstanceDeletionPending',
      message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
      lastTransitionTime: formatTime(environment.now()),
    });
    return true;
  },
};
