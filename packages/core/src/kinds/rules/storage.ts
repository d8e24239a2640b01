/** Rules of group storage.k8s.io. Source: storage/validation (v0.33). */
import { dnsSubdomainProblem, qualifiedNameProblem } from '../../meta/names.js';
import type { storagev1 } from '../generated/types/index.js';
import { type Report, sameValue } from './report.js';
import { checkQuantity } from './resources.js';
import { checkLabelSelector } from './selector.js';

const maxParameters = 512;
const maxParameterBytes = 256 * 1024;

export function checkStorageClass(
  report: Report,
  storageClass: storagev1.StorageClass,
  previous?: storagev1.StorageClass,
): void {
  const { provisioner, parameters = {}, reclaimPolicy, volumeBindingMode } = storageClass;
  if (!provisioner) report.required('provisioner');
  else report.form('provisioner', provisioner, qualifiedNameProblem(provisioner.toLowerCase()));
  const names = Object.keys(parameters);
  if (names.length > maxParameters) report.tooLong('parameters', maxParameters);
  if (names.includes('')) report.invalid('parameters', '', 'field can not be empty.');
  if (names.reduce((sum, name) => sum + name.length + parameters[name]!.length, 0) > maxParameterBytes)
    report.tooLong('parameters', maxParameterBytes);
  if (reclaimPolicy && reclaimPolicy !== 'Delete' && reclaimPolicy !== 'Retain')
    report.unsupported('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']);
  report.oneOf('volumeBindingMode', volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']);
  for (const [index, term] of (storageClass.allowedTopologies ?? []).entries())
    for (const [at, { key, values }] of (term.matchLabelExpressions ?? []).entries()) {
      const field = `allowedTopologies[${index}].matchLabelExpressions[${at}]`;
      report.form(`${field}.key`, key, qualifiedNameProblem(key));
      if (!values?.length) report.required(`${field}.values`);
    }
  if (!previous) return;
  for (const name of ['parameters', 'provisioner', 'reclaimPolicy'] as const)
    if (!sameValue(storageClass[name], previous[name])) report.forbidden(name, `updates to ${name} are forbidden.`);
  report.immutable('volumeBindingMode', volumeBindingMode, previous.volumeBindingMode);
}

export function checkVolumeAttachment(
  report: Report,
  { spec }: storagev1.VolumeAttachment,
  previous?: storagev1.VolumeAttachment,
): void {
  if (!spec.attacher) report.required('spec.attacher');
  else report.form('spec.attacher', spec.attacher, dnsSubdomainProblem(spec.attacher.toLowerCase()));
  const { inlineVolumeSpec, persistentVolumeName } = spec.source ?? {};
  if (!inlineVolumeSpec && persistentVolumeName === undefined)
    report.required('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName');
  if (inlineVolumeSpec && persistentVolumeName !== undefined)
    report.forbidden('spec.source', 'must specify exactly one of inlineVolumeSpec and persistentVolumeName');
  if (!inlineVolumeSpec && persistentVolumeName === '')
    report.required('spec.source.persistentVolumeName', 'must specify non empty persistentVolumeName');
  report.text('spec.nodeName', spec.nodeName, dnsSubdomainProblem);
  if (previous && !sameValue(spec, previous.spec)) report.invalid('spec', spec, 'field is immutable');
}

const maxDriverName = 63;

function driverName(report: Report, name: string | undefined, field: string): void {
  if (!name) {
    report.required(field);
    return;
  }
  if (name.length > maxDriverName) report.tooLong(field, maxDriverName);
  report.form(field, name, dnsSubdomainProblem(name.toLowerCase()));
}

export function checkCsiDriver(
  report: Report,
  { metadata, spec }: storagev1.CSIDriver,
  previous?: storagev1.CSIDriver,
): void {
  if (metadata.name) driverName(report, metadata.name, 'metadata.name');
  if (spec.fsGroupPolicy)
    report.oneOf('spec.fsGroupPolicy', spec.fsGroupPolicy, ['ReadWriteOnceWithFSType', 'File', 'None']);
  for (const [index, mode] of (spec.volumeLifecycleModes ?? []).entries())
    if (mode !== 'Persistent' && mode !== 'Ephemeral')
      report.unsupported(`spec.volumeLifecycleModes[${index}]`, mode, ['Ephemeral', 'Persistent']);
  const audiences = new Set<string>();
  for (const [index, { audience, expirationSeconds }] of (spec.tokenRequests ?? []).entries()) {
    const field = `spec.tokenRequests[${index}]`;
    if (audiences.has(audience)) report.duplicate(`${field}.audience`, audience);
    audiences.add(audience);
    if (expirationSeconds !== undefined && expirationSeconds < 600)
      report.invalid(
        `${field}.expirationSeconds`,
        expirationSeconds,
        'may not specify a duration less than 10 minutes',
      );
  }
  if (!previous) return;
  for (const name of ['attachRequired', 'volumeLifecycleModes'] as const)
    report.immutable(`spec.${name}`, spec[name], previous.spec[name]);
}

export function checkCsiNode(report: Report, { spec }: storagev1.CSINode, previous?: storagev1.CSINode): void {
  const names = new Set<string>();
  for (const [index, driver] of (spec.drivers ?? []).entries()) {
    const field = `spec.drivers[${index}]`;
    driverName(report, driver.name, `${field}.name`);
    if (!driver.nodeID) report.required(`${field}.nodeID`);
    if (names.has(driver.name)) report.duplicate(`${field}.name`, driver.name);
    names.add(driver.name);
    const topology = new Set<string>();
    for (const key of driver.topologyKeys ?? []) {
      if (topology.has(key)) report.duplicate(`${field}.topologyKeys`, key);
      topology.add(key);
      report.form(`${field}.topologyKeys`, key, qualifiedNameProblem(key));
    }
    report.notNegative(`${field}.allocatable.count`, driver.allocatable?.count);
    const before = previous?.spec.drivers?.find(({ name }) => name === driver.name);
    if (before && (before.nodeID !== driver.nodeID || !sameValue(before.topologyKeys, driver.topologyKeys)))
      report.invalid(field, driver, 'field is immutable');
  }
}

export function checkCsiStorageCapacity(
  report: Report,
  capacity: storagev1.CSIStorageCapacity,
  previous?: storagev1.CSIStorageCapacity,
): void {
  report.text('storageClassName', capacity.storageClassName, dnsSubdomainProblem);
  checkLabelSelector(report, capacity.nodeTopology, 'nodeTopology');
  for (const name of ['capacity', 'maximumVolumeSize'] as const)
    if (capacity[name] !== undefined) checkQuantity(report, capacity[name], name);
  if (!previous) return;
  report.immutable('nodeTopology', capacity.nodeTopology, previous.nodeTopology);
  report.immutable('storageClassName', capacity.storageClassName, previous.storageClassName);
}
