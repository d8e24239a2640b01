export { type ServiceProxyOptions, serviceProxy } from './service-proxy.js';
export { substituteCondition } from './status-report.js';
export { substituteAddress } from './userspace.js';
