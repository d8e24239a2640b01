/**
 * Conversion by webhook: objects are sent to whoever defined them (ConversionReview), many at a time, and come back in the wanted version. What
 * comes back is checked: the same objects, in order, with their identity; of metadata only labels and annotations may differ.
 * Source and texts: apiextensions-apiserver `conversion/webhook_converter.go` (v0.33).
 */
import { randomUUID } from 'node:crypto';
import { type DynamicObject, StatusError } from '@orbitkit/core';
import type { AdmissionCluster } from '../admission/contract.js';
import { copyJson } from '../registry/json-value.js';
import type { WebhookCaller } from '../webhook/call.js';
import type { Conversion, Definition } from './custom-kind.js';
import { isObject } from './structural.js';

/** Objects of one review; also bounded by what lists bring at a time. */
const batch = 250;
/** Upstream's, for all conversions. */
const timeoutMs = 30_000;

type Prepared = Map<string, DynamicObject>;

/** Undefined for a definition without a webhook. */
export function webhookConversion(
  { spec, metadata }: Definition,
  call: WebhookCaller,
  cluster: AdmissionCluster,
): Conversion | undefined {
  const config = spec.conversion?.strategy === 'Webhook' ? spec.conversion.webhook?.clientConfig : undefined;
  if (config === undefined) return undefined;
  /** By the object that was sent; gone with it. */
  const prepared = new WeakMap<object, Prepared>();

  const failed = (why: string): StatusError =>
    new StatusError('InternalError', `conversion webhook for ${spec.group}, Kind=${spec.names.kind} failed: ${why}`, {
      details: { name: metadata.name, kind: spec.names.plural, group: spec.group },
    });

  async function review(
    objects: readonly Readonly<DynamicObject>[],
    desiredAPIVersion: string,
  ): Promise<DynamicObject[]> {
    const uid = randomUUID();
    let answer: unknown;
    try {
      answer = await call({
        config: config!,
        body: {
          apiVersion: 'apiextensions.k8s.io/v1',
          kind: 'ConversionReview',
          request: { uid, desiredAPIVersion, objects },
        },
        timeoutMs,
        signal: AbortSignal.timeout(timeoutMs),
        cluster,
      });
    } catch (error) {
      throw failed(error instanceof Error ? error.message : String(error));
    }
    const response = isObject(answer) && answer['kind'] === 'ConversionReview' ? answer['response'] : undefined;
    if (!isObject(response)) throw failed('the answer is no ConversionReview with a response');
    if (response['uid'] !== uid) throw failed(`expected response.uid=${uid}, got ${String(response['uid'])}`);
    const result = response['result'];
    if (!isObject(result) || result['status'] !== 'Success')
      throw failed(
        isObject(result) && typeof result['message'] === 'string' ? result['message'] : 'it says no success',
      );
    const converted = response['convertedObjects'];
    if (!Array.isArray(converted) || converted.length !== objects.length)
      throw failed(
        `it returned ${Array.isArray(converted) ? converted.length : 'no'} objects, expected ${objects.length}`,
      );
    return converted.map((each, i) => checked(each, objects[i]!, desiredAPIVersion));
  }

  function checked(value: unknown, original: Readonly<DynamicObject>, apiVersion: string): DynamicObject {
    if (!isObject(value)) throw failed('a converted object is no object');
    if (value['apiVersion'] !== apiVersion)
      throw failed(`invalid groupVersion (expected ${apiVersion}, received ${String(value['apiVersion'])})`);
    if (value['kind'] !== original.kind)
      throw failed(`invalid kind (expected ${original.kind}, received ${String(value['kind'])})`);
    const given = isObject(value['metadata']) ? value['metadata'] : {};
    for (const name of ['name', 'namespace', 'uid'] as const) {
      if (given[name] !== undefined && given[name] !== original.metadata?.[name])
        throw failed(
          `invalid metadata.${name} (expected ${String(original.metadata?.[name])}, received ${String(given[name])})`,
        );
    }
    const { labels, annotations } = given;
    const kept = { ...original.metadata } as Record<string, unknown>;
    if (labels === undefined) delete kept['labels'];
    else kept['labels'] = labels;
    if (annotations === undefined) delete kept['annotations'];
    else kept['annotations'] = annotations;
    return { ...value, metadata: kept } as unknown as DynamicObject;
  }

  return {
    async prepare(objects, apiVersion) {
      const needed = objects.filter(each => each.apiVersion !== apiVersion && !prepared.get(each)?.has(apiVersion));
      for (let at = 0; at < needed.length; at += batch) {
        const some = needed.slice(at, at + batch);
        const converted = await review(some, apiVersion);
        for (const [i, object] of some.entries()) {
          const known: Prepared = prepared.get(object) ?? new Map();
          prepared.set(object, known.set(apiVersion, converted[i]!));
        }
      }
    },
    convert(object, apiVersion) {
      if (object.apiVersion === apiVersion) return copyJson(object);
      const found = prepared.get(object)?.get(apiVersion);
      if (found === undefined)
        throw failed(`an object of ${object.apiVersion} was asked for in ${apiVersion} without waiting`);
      return copyJson(found);
    },
  };
}
