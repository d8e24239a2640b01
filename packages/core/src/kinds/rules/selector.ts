/** Rules of label selectors in specs. Source: apimachinery `meta/v1/validation` (v0.33). */
import { labelValueProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { LabelSelector } from '../../meta/object.js';
import { checkLabels } from './metadata.js';
import type { Report } from './report.js';

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** True when the selector is one that can be evaluated. */
export function checkLabelSelector(report: Report, selector: LabelSelector | undefined, field: string): boolean {
  if (!selector) return true;
  const before = report.errors.length;
  checkLabels(report, selector.matchLabels, `${field}.matchLabels`);
  for (const [index, { key, operator, values }] of (selector.matchExpressions ?? []).entries()) {
    const at = `${field}.matchExpressions[${index}]`;
    if (operator === 'In' || operator === 'NotIn') {
      if (!values?.length) report.required(`${at}.values`, "must be specified when `operator` is 'In' or 'NotIn'");
    } else if (operator === 'Exists' || operator === 'DoesNotExist') {
      if (values?.length)
        report.forbidden(`${at}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
    } else if (!operators.includes(operator)) {
      report.invalid(`${at}.operator`, operator, 'not a valid selector operator');
    }
    report.form(`${at}.key`, key, qualifiedNameProblem(key));
    for (const [valueIndex, value] of (values ?? []).entries()) {
      report.form(`${at}.values[${valueIndex}]`, value, labelValueProblem(value));
    }
  }
  return report.errors.length === before;
}

export function isEmptySelector(selector: LabelSelector): boolean {
  for (const _ in selector.matchLabels) return false;
  return !selector.matchExpressions?.length;
}
