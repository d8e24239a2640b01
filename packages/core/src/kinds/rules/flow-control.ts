/** Rules of FlowSchemas and PriorityLevelConfigurations. Source: flowcontrol/validation (v0.33). */
import type { flowcontrolv1 } from '../generated/types/index.js';
import type { Report } from './report.js';

const lowestPrecedence = 10_000;
const maxQueues = 10_000_000;
const verbs = ['*', 'create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'proxy', 'update', 'watch'];

export function checkFlowSchema(report: Report, { metadata, spec }: flowcontrolv1.FlowSchema): void {
  const precedence = spec.matchingPrecedence ?? 0;
  if (precedence <= 0) report.invalid('spec.matchingPrecedence', precedence, 'must be a positive value');
  if (precedence > lowestPrecedence)
    report.invalid('spec.matchingPrecedence', precedence, `must not be greater than ${lowestPrecedence}`);
  if (precedence === 1 && metadata.name !== 'exempt')
    report.invalid(
      'spec.matchingPrecedence',
      precedence,
      "only the schema named 'exempt' may have matchingPrecedence 1",
    );
  const method = spec.distinguisherMethod?.type;
  if (spec.distinguisherMethod && method !== 'ByUser' && method !== 'ByNamespace')
    report.unsupported('spec.distinguisherMethod', spec.distinguisherMethod, ['ByNamespace', 'ByUser']);
  if (!spec.priorityLevelConfiguration?.name)
    report.required('spec.priorityLevelConfiguration.name', 'must reference a priority level');
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    const field = `spec.rules[${index}]`;
    if (!rule.subjects?.length) report.required(`${field}.subjects`, 'subjects must contain at least one value');
    if (!rule.resourceRules?.length && !rule.nonResourceRules?.length)
      report.required(field, 'at least one of resourceRules and nonResourceRules has to be non-empty');
    for (const [at, subject] of (rule.subjects ?? []).entries())
      checkSubject(report, subject, `${field}.subjects[${at}]`);
    for (const [at, resource] of (rule.resourceRules ?? []).entries()) {
      const here = `${field}.resourceRules[${at}]`;
      checkVerbs(report, resource.verbs, `${here}.verbs`);
      if (!resource.apiGroups?.length)
        report.required(`${here}.apiGroups`, 'resource rules must supply at least one api group');
      if (!resource.resources?.length)
        report.required(`${here}.resources`, 'resource rules must supply at least one resource');
      if (!resource.namespaces?.length && !resource.clusterScope)
        report.required(
          `${here}.namespaces`,
          'resource rules that are not cluster scoped must supply at least one namespace',
        );
    }
    for (const [at, path] of (rule.nonResourceRules ?? []).entries()) {
      const here = `${field}.nonResourceRules[${at}]`;
      checkVerbs(report, path.verbs, `${here}.verbs`);
      if (!path.nonResourceURLs?.length)
        report.required(`${here}.nonResourceURLs`, 'nonResourceURLs must contain at least one value');
    }
  }
}

function checkVerbs(report: Report, given: readonly string[] | undefined, field: string): void {
  if (!given?.length) {
    report.required(field, 'verbs must contain at least one value');
    return;
  }
  if (given.includes('*') && given.length > 1)
    report.invalid(field, given, "if '*' is present, must not specify other verbs");
  for (const verb of given) if (!verbs.includes(verb)) report.unsupported(field, given, verbs);
}

const subjectFields = { User: 'user', Group: 'group', ServiceAccount: 'serviceAccount' } as const;

function checkSubject(report: Report, subject: flowcontrolv1.Subject, field: string): void {
  const own = subjectFields[subject.kind as keyof typeof subjectFields];
  if (!own) {
    report.unsupported(`${field}.kind`, subject.kind, Object.keys(subjectFields));
    return;
  }
  for (const [kind, name] of Object.entries(subjectFields)) {
    if (name === own) {
      if (!subject[own])
        report.required(`${field}.${own}`, `${own} is required when subject kind is '${subject.kind}'`);
    } else if (subject[name]) {
      report.forbidden(`${field}.${name}`, `${name} is forbidden when subject kind is not '${kind}'`);
    }
  }
  if (subject[own] && !subject[own].name) report.required(`${field}.${own}.name`);
}

export function checkPriorityLevel(report: Report, { metadata, spec }: flowcontrolv1.PriorityLevelConfiguration): void {
  if (spec.type === 'Exempt') {
    if (spec.limited) report.forbidden('spec.limited', 'must be nil if the type is Exempt');
    if (metadata.name !== 'exempt')
      report.invalid('spec.type', spec.type, "type must be 'Limited' unless the name is 'exempt'");
    return;
  }
  if (spec.type !== 'Limited') {
    report.unsupported('spec.type', spec.type, ['Exempt', 'Limited']);
    return;
  }
  if (spec.exempt) report.forbidden('spec.exempt', 'must be nil if the type is Limited');
  const { limited } = spec;
  if (!limited) {
    report.required('spec.limited', 'must not be empty when type is Limited');
    return;
  }
  report.notNegative('spec.limited.nominalConcurrencyShares', limited.nominalConcurrencyShares);
  report.within('spec.limited.lendablePercent', limited.lendablePercent, 0, 100);
  const response = limited.limitResponse;
  const at = 'spec.limited.limitResponse';
  if (response?.type === 'Reject') {
    if (response.queuing) report.forbidden(`${at}.queuing`, 'must be nil if limited.limitResponse.type is not Limited');
    return;
  }
  if (response?.type !== 'Queue') {
    report.unsupported(`${at}.type`, response?.type ?? '', ['Queue', 'Reject']);
    return;
  }
  const { queuing } = response;
  if (!queuing) {
    report.required(`${at}.queuing`, 'must not be empty if limited.limitResponse.type is Limited');
    return;
  }
  const { queues = 0, handSize = 0, queueLengthLimit = 0 } = queuing;
  if (queueLengthLimit <= 0) report.invalid(`${at}.queuing.queueLengthLimit`, queueLengthLimit, 'must be positive');
  if (queues <= 0) report.invalid(`${at}.queuing.queues`, queues, 'must be positive');
  else if (queues > maxQueues) report.invalid(`${at}.queuing.queues`, queues, `must not be greater than ${maxQueues}`);
  if (handSize <= 0) report.invalid(`${at}.queuing.handSize`, handSize, 'must be positive');
  else if (handSize > queues)
    report.invalid(`${at}.queuing.handSize`, handSize, `should not be greater than queues (${queues})`);
}
