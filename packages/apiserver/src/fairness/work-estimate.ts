/**
 * How many objects a request has to go through, from what the watch cache holds: all of its scope for a list, whatever its selectors leave
 * (they have to be looked at), but no more than its limit; the same for a watch that begins with what there is.
 */
import type { ApiRequest } from '../http/exchange.js';
import type { RequestInfo } from '../http/request-info.js';
import { resourceIdOf } from '../registry/storage-keys.js';
import type { WatchCache } from '../registry/watch-cache.js';

export function objectCount(cache: WatchCache): (info: RequestInfo, request: ApiRequest) => number {
  return ({ group, resource, namespace, name, verb }, { query }) => {
    if (!cache.live || name !== undefined) return 1;
    const version = query.get('resourceVersion');
    if (verb === 'watch' && version !== undefined && version !== '0' && !query.flag('sendInitialEvents')) return 1;
    const count = cache.countOf(resourceIdOf({ group, plural: resource }), namespace);
    const limit = verb === 'list' ? Number(query.get('limit') ?? 0) : 0;
    return limit > 0 ? Math.min(limit, count) : count;
  };
}
