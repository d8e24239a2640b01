/** @orbitkit/galaxy: do it without a centre. */
export { type CoordinatorOptions, coordinator } from './coordinator/coordinator.js';
export { type DispatcherOptions, dispatcher } from './dispatcher/dispatcher.js';
export { type GatewayOptions, gateway } from './gateway/gateway.js';
export { ownerOf, rank } from './membership/rendezvous.js';
export type { Credentials, MemberCredentials } from './protocol/channel.js';
export { issueIdentity, readIdentity } from './protocol/identity.js';
export type { Created, ErrorCode, Hop, InstanceStatus, Member, MemberKind } from './protocol/schema.js';
export { protoSource } from './protocol/schema.js';
export { type ShardSchedulerOptions, shardScheduler } from './shard-scheduler/shard-scheduler.js';
export { type VirtualNodeOptions, virtualNode } from './virtual-node/virtual-node.js';
