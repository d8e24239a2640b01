/**
 * Creates the flow schemas and priority levels that a cluster has from the start, and keeps them: what is missing is made again, the
 * mandatory ones are put right whoever changed them, the suggested ones as long as their annotation
 * `apf.kubernetes.io/autoupdate-spec` is `true`. At the start and then once a minute, as kube-apiserver does.
 */
import {
  type Clock,
  type DynamicObject,
  isAlreadyExists,
  isConflict,
  isNotFound,
  isStatusError,
  type Kind,
  type KindRegistry,
  type Logger,
} from '@orbitkit/core';
import type { RequestContext, Resources } from '../registry/contract.js';
import { sameJson } from '../registry/json-value.js';
import { type BootstrapObject, bootstrapLevels, bootstrapSchemas } from './bootstrap-configuration.js';

const group = 'flowcontrol.apiserver.k8s.io';
const autoUpdate = 'apf.kubernetes.io/autoupdate-spec';
const everyMs = 60_000;

export interface KeepOptions {
  readonly resources: Resources;
  readonly kinds: KindRegistry;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Once. Nothing when the kinds are not served. */
export async function ensureFlowConfiguration({ resources, kinds, signal }: KeepOptions): Promise<void> {
  const context: RequestContext = {
    user: { username: 'system:apiserver', groups: ['system:masters'] },
    signal,
    warn: () => undefined,
  };
  const named = (name: string) => kinds.kinds.find((kind: Kind) => kind.group === group && kind.kind === name);
  const levelKind = named('PriorityLevelConfiguration');
  const schemaKind = named('FlowSchema');
  if (levelKind === undefined || schemaKind === undefined) return;
  await Promise.all(bootstrapLevels.map(each => ensure(resources, context, levelKind, each)));
  await Promise.all(bootstrapSchemas.map(each => ensure(resources, context, schemaKind, each)));
}

/** Again and again until the signal aborts. */
export async function keepFlowConfiguration(options: KeepOptions): Promise<void> {
  const { clock, log, signal } = options;
  while (!signal.aborted) {
    await clock.sleep(everyMs, signal).catch(() => undefined);
    if (signal.aborted) return;
    await ensureFlowConfiguration(options).catch(error => {
      if (!signal.aborted)
        log.warn('the configuration of fair queueing could not be looked after', { error: String(error) });
    });
  }
}

async function ensure(
  resources: Resources,
  context: RequestContext,
  kind: Kind,
  { name, mandatory, spec }: BootstrapObject<object>,
): Promise<void> {
  try {
    const found = await resources.get(context, kind, { name }).catch(error => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const wanted = JSON.parse(JSON.stringify(spec)) as object;
    if (found === undefined) {
      const metadata = { name, annotations: { [autoUpdate]: 'true' } };
      await resources.create(context, kind, {}, { value: { metadata, spec: wanted } });
      return;
    }
    const present = found.object();
    if (!mandatory && present.metadata.annotations?.[autoUpdate] !== 'true') return;
    // An update consumes its body; what a reader gets is everybody's.
    const put = { ...(JSON.parse(found.bytes.toString()) as DynamicObject), spec: wanted };
    kind.applyDefaults(put);
    if (sameJson(put['spec'], present['spec'])) return;
    await resources.update(context, kind, { name }, { value: put });
  } catch (error) {
    // Another server of the same cluster starts as well.
    if (isStatusError(error) && (isAlreadyExists(error) || isConflict(error) || isNotFound(error))) return;
    throw error;
  }
}
