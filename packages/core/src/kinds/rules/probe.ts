/**
 * Rules of probes and lifecycle hooks: exactly one handler, ranges of the numbers. Source: core/validation `validateProbe`,
 * `validateLivenessProbe`, `validateHandler` (v0.33).
 */
import type { corev1 } from '../generated/types/index.js';
import { portProblem, portRefProblem } from './forms.js';
import type { Report } from './report.js';

interface Handler {
  exec?: corev1.ExecAction;
  httpGet?: corev1.HTTPGetAction;
  tcpSocket?: corev1.TCPSocketAction;
  grpc?: corev1.GRPCAction;
  sleep?: corev1.SleepAction;
}

const headerName = /^[-A-Za-z0-9]+$/;

function checkHandler(report: Report, handler: Handler, field: string, graceSeconds?: number): void {
  let found = 0;
  for (const name of ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const) {
    if (!handler[name]) continue;
    found += 1;
    if (found > 1) {
      report.forbidden(`${field}.${name}`, 'may not specify more than 1 handler type');
      continue;
    }
    checkAction(report, name, handler, `${field}.${name}`, graceSeconds);
  }
  if (found === 0) report.required(field, 'must specify a handler type');
}

function checkAction(
  report: Report,
  name: keyof Handler,
  handler: Handler,
  field: string,
  graceSeconds?: number,
): void {
  switch (name) {
    case 'exec':
      if (!handler.exec!.command?.length) report.required(`${field}.command`);
      break;
    case 'httpGet': {
      const { path, port, httpHeaders } = handler.httpGet!;
      if (!path) report.required(`${field}.path`);
      checkPortRef(report, port, `${field}.port`);
      for (const [index, header] of (httpHeaders ?? []).entries()) {
        if (!headerName.test(header.name)) {
          report.invalid(
            `${field}.httpHeaders[${index}].name`,
            header.name,
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
          );
        }
      }
      break;
    }
    case 'tcpSocket':
      checkPortRef(report, handler.tcpSocket!.port, `${field}.port`);
      break;
    case 'grpc': {
      const problem = portProblem(handler.grpc!.port);
      if (problem) report.invalid(`${field}.port`, handler.grpc!.port, problem);
      break;
    }
    case 'sleep': {
      const { seconds } = handler.sleep!;
      const most = graceSeconds ?? 30;
      if (seconds < 0 || seconds > most) {
        report.invalid(field, seconds, `must be non-negative and less than terminationGracePeriodSeconds (${most})`);
      }
    }
  }
}

function checkPortRef(report: Report, port: number | string, field: string): void {
  const problem = portRefProblem(port);
  if (problem) report.invalid(field, port, problem);
}

export function checkProbe(
  report: Report,
  probe: corev1.Probe | undefined,
  role: 'liveness' | 'readiness' | 'startup',
  owner: string,
): void {
  if (!probe) return;
  const field = `${owner}.${role}Probe`;
  checkHandler(report, probe, field);
  for (const name of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ] as const) {
    report.notNegative(`${field}.${name}`, probe[name]);
  }
  const grace = probe.terminationGracePeriodSeconds;
  if (role === 'readiness') {
    if (grace !== undefined)
      report.invalid(`${field}.terminationGracePeriodSeconds`, grace, 'must not be set for readinessProbes');
    return;
  }
  report.positive(`${field}.terminationGracePeriodSeconds`, grace);
  const threshold = probe.successThreshold;
  if (threshold !== undefined && threshold !== 0 && threshold !== 1)
    report.invalid(`${field}.successThreshold`, threshold, 'must be 1');
}

export function checkLifecycle(
  report: Report,
  lifecycle: corev1.Lifecycle | undefined,
  owner: string,
  graceSeconds?: number,
): void {
  if (lifecycle?.postStart) checkHandler(report, lifecycle.postStart, `${owner}.lifecycle.postStart`, graceSeconds);
  if (lifecycle?.preStop) checkHandler(report, lifecycle.preStop, `${owner}.lifecycle.preStop`, graceSeconds);
}
