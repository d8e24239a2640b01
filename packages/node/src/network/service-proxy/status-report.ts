/**
 * Says on the Service what of it is answered elsewhere than it says: a condition and, once per change, an event.
 */
import {
  type Client,
  type Clock,
  type EventRecorder,
  isConflict,
  isNotFound,
  type Logger,
  Service,
  type Service as ServiceObject,
} from '@orbitkit/core';
import { type DeepReadonly, mutableCopy, type Store } from '@orbitkit/informer';
import type { Deviation } from './data-path.js';
import type { ServicePort } from './service-port.js';

/** True on a Service while another address or port answers for it than the one that it names; the message says which. */
export const substituteCondition = 'orbitkit.dev/SubstituteAddress';

export interface ReportOptions {
  deviations: readonly Deviation[];
  ports: readonly ServicePort[];
  services: Store<ServiceObject>;
  client: Client;
  recorder: EventRecorder;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
}

export function reportDeviations(options: ReportOptions): void {
  const byPort = new Map(options.ports.map(port => [port.key, port]));
  const byService = new Map<string, Deviation[]>();
  for (const deviation of options.deviations) {
    const port = byPort.get(deviation.key);
    if (!port) continue;
    const key = `${port.namespace}/${port.name}`;
    byService.set(key, [...(byService.get(key) ?? []), deviation]);
  }
  for (const service of options.services.list()) {
    const deviations = byService.get(`${service.metadata.namespace}/${service.metadata.name}`) ?? [];
    const before = service.status?.conditions?.find(({ type }) => type === substituteCondition);
    const status = deviations.length > 0 ? 'True' : 'False';
    const message = deviations.map(deviation => deviation.message).join('; ');
    if (!before && status === 'False') continue;
    if (before?.status === status && before.message === message) continue;
    const reason = deviations.some(deviation => deviation.reason === 'Unavailable')
      ? 'Unavailable'
      : status === 'True'
        ? 'SubstituteAddress'
        : 'AsDeclared';
    if (status === 'True') {
      options.recorder.event(
        service as ServiceObject,
        reason === 'Unavailable' ? 'Warning' : 'Normal',
        reason,
        message,
      );
    }
    void write(options, service, { status, reason, message });
  }
}

/** A write that fails is made again with the next change, since the condition is compared then. */
async function write(
  { client, clock, log, signal }: ReportOptions,
  service: DeepReadonly<ServiceObject>,
  condition: { status: 'True' | 'False'; reason: string; message: string },
): Promise<void> {
  const lastTransitionTime = `${new Date(clock.now()).toISOString().slice(0, 19)}Z`;
  const { name, namespace } = service.metadata;
  const next = mutableCopy(service) as ServiceObject;
  const others = (next.status?.conditions ?? []).filter(({ type }) => type !== substituteCondition);
  next.status = {
    ...next.status,
    conditions: [...others, { type: substituteCondition, lastTransitionTime, ...condition }],
  };
  try {
    await client.updateStatus(Service, next, { signal });
  } catch (error) {
    if (!signal.aborted && !isNotFound(error) && !isConflict(error)) {
      log.warn('the condition of a service could not be written', {
        service: `${namespace}/${name}`,
        error: String(error),
      });
    }
  }
}
