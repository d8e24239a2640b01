/**
 * Rules of events.k8s.io/v1, which are stricter than those of the core group's events: the newer API says who acts and what he
 * does, and leaves the older fields alone. Source: core/validation `ValidateEventCreate` (v0.33).
 */
import { qualifiedNameProblem } from '../../meta/names.js';
import type { eventsv1 } from '../generated/types/index.js';
import type { Report } from './report.js';

const limits = { reportingInstance: 128, action: 128, reason: 128, note: 1024 } as const;

export function checkEventV1(report: Report, event: eventsv1.Event, previous?: eventsv1.Event): void {
  // What an older client has written stays as it is.
  if (previous) return;
  if (!event.eventTime) report.required('eventTime');
  if (event.reportingController === undefined || event.reportingController === '')
    report.required('reportingController');
  else report.form('reportingController', event.reportingController, qualifiedNameProblem(event.reportingController));
  for (const name of ['reportingInstance', 'action', 'reason'] as const) if (!event[name]) report.required(name);
  for (const [name, most] of Object.entries(limits)) {
    const text = event[name as keyof typeof limits];
    if (text && text.length > most) report.invalid(name, '', `can have at most ${most} characters`);
  }
  if (event.type !== 'Normal' && event.type !== 'Warning')
    report.invalid('type', '', `has invalid value: ${event.type ?? ''}`);
  if (event.series && event.series.count < 2) report.invalid('series.count', '', 'should be at least 2');
  for (const name of ['deprecatedFirstTimestamp', 'deprecatedLastTimestamp'] as const)
    if (event[name]) report.invalid(name, '', 'needs to be unset');
  if (event.deprecatedCount) report.invalid('deprecatedCount', '', 'needs to be unset');
  if (event.deprecatedSource && (event.deprecatedSource.component || event.deprecatedSource.host))
    report.invalid('deprecatedSource', '', 'needs to be unset');
}
