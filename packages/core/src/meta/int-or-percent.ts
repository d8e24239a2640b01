/**
 * `3` or `"25%"`: maxSurge, maxUnavailable, minAvailable. Which way a share of a pod rounds is the field's own rule: for
 * rolling updates maxSurge rounds up and maxUnavailable down. Source: apimachinery `intstr.GetScaledValueFromIntOrPercent`.
 */
import { badRequest } from '../errors/status-error.js';

/** @throws StatusError BadRequest for a text that is not a whole percentage. */
export function resolvePercent(value: number | string, total: number, round: 'up' | 'down'): number {
  if (typeof value === 'number') return value;
  const match = /^([+-]?\d{1,10})%$/.exec(value);
  if (!match) throw badRequest(`"${value}" is neither a number nor a percentage: write 3 or "25%"`);
  const share = (Number(match[1]) * total) / 100;
  return round === 'up' ? Math.ceil(share) : Math.floor(share);
}
