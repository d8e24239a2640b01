/**
 * The wire of the Galaxy data path: messages and services of our own, proto3.
 *
 * Between roles run long-lived bidirectional streams that carry batches of calls with ids (a batch is what gathered while the one before was
 * written); the unary methods are the compatible edge for other people's clients. Times are milliseconds, memory bytes,
 * CPU thousandths of a core. Memory travels as double: exact up to 2^53.
 */
import protobuf from 'protobufjs';

/** The protocol in proto3, for clients in other languages; the messages here are read from it. */
export const protoSource = `
syntax = "proto3";
package orbitkit.galaxy.v1;

message Create {
  string key = 1;              // idempotency key: one key, one instance
  string attempt = 2;          // one try of the dispatcher; a fenced attempt is never started
  string function = 3;
  string image = 4;
  repeated string command = 5;
  repeated string args = 6;
  map<string, string> env = 7;
  uint32 cpu_millis = 8;
  double memory_bytes = 9;
  double deadline = 10;        // milliseconds since 1970
  bool system = 11;            // system components go first
}
message Hop { string role = 1; string name = 2; double millis = 3; }
message Created {
  string key = 1;
  string id = 2;
  string node = 3;
  string address = 4;
  string error_code = 5;       // empty: the instance runs
  string error = 6;
  repeated Hop hops = 7;       // innermost first; each includes those before it
}
message CreateCall { uint32 id = 1; Create create = 2; }
message CreateReply { uint32 id = 1; Created created = 2; }
message CreateCalls { repeated CreateCall calls = 1; }
message CreateReplies { repeated CreateReply replies = 1; }

message Capacity { uint32 cpu_millis = 1; double memory_bytes = 2; uint32 used_cpu_millis = 3; double used_memory_bytes = 4; uint32 instances = 5; }
message NodeReports { repeated CreateReply replies = 1; Capacity capacity = 2; }

message FindRequest { repeated string keys = 1; repeated string fence_attempts = 2; }
message FindReply { repeated Created found = 1; }
message InstanceRef { string id = 1; }
message InstanceStatus {
  string id = 1; string function = 2; string image = 3; string node = 4; string address = 5; string state = 6;
  int32 exit_code = 7; string message = 8; double created_at = 9; double finished_at = 10; string key = 11;
}

message InstanceQuery { string function = 1; }
message InstanceList { repeated InstanceStatus items = 1; }

message Member { string kind = 1; string name = 2; string address = 3; string http_address = 4; }
message Heartbeat { Member member = 1; bool leaving = 2; }
message Membership { double revision = 1; repeated Member members = 2; uint32 lease_millis = 3; }

service Coordinator { rpc Join(stream Heartbeat) returns (stream Membership); }
service Dispatcher {
  rpc Dispatch(stream CreateCalls) returns (stream CreateReplies);
  rpc Create(Create) returns (Created);
}
service Scheduler {
  rpc Schedule(stream CreateCalls) returns (stream CreateReplies);
  rpc PeerSchedule(stream CreateCalls) returns (stream CreateReplies);
}
service Node {
  rpc Deploy(stream CreateCalls) returns (stream NodeReports);
  rpc Find(FindRequest) returns (FindReply);
  rpc List(InstanceQuery) returns (InstanceList);
  rpc Status(InstanceRef) returns (InstanceStatus);
  rpc Delete(InstanceRef) returns (InstanceStatus);
}
`;

export interface Create {
  key: string;
  attempt: string;
  function: string;
  image: string;
  command: string[];
  args: string[];
  env: Record<string, string>;
  cpuMillis: number;
  memoryBytes: number;
  deadline: number;
  system: boolean;
}

/** How long one role had a create, the roles behind it included. */
export interface Hop {
  role: string;
  name: string;
  millis: number;
}
/** `''` means that the instance runs. */
export type ErrorCode =
  | ''
  | 'NoCapacity'
  | 'Refused'
  | 'StartFailed'
  | 'Unavailable'
  | 'DeadlineExceeded'
  | 'Overloaded'
  | 'Lost'
  | 'Fenced';
/** What came of a create. `error` is for people; empty when the instance runs. */
export interface Created {
  key: string;
  id: string;
  node: string;
  address: string;
  errorCode: ErrorCode;
  error: string;
  hops: Hop[];
}
export interface Calls<T> {
  calls: { id: number; create: T }[];
}
export interface Capacity {
  cpuMillis: number;
  memoryBytes: number;
  usedCpuMillis: number;
  usedMemoryBytes: number;
  instances: number;
}
export interface Replies {
  replies: { id: number; created: Created }[];
  capacity?: Capacity | null;
}

/** The roles that there are. */
export type MemberKind = 'coordinator' | 'gateway' | 'dispatcher' | 'scheduler' | 'node';
/** One role's process, as the membership lists it. */
export interface Member {
  kind: MemberKind;
  name: string;
  /** host:port of its gRPC server. */
  address: string;
  /** Base URL of a gateway's HTTP server. */
  httpAddress: string;
}
export interface Heartbeat {
  member: Member;
  leaving: boolean;
}
export interface Membership {
  revision: number;
  members: Member[];
  leaseMillis: number;
}

/** An instance as its node sees it. Times are milliseconds since 1970, 0: not yet. */
export interface InstanceStatus {
  id: string;
  key: string;
  function: string;
  image: string;
  node: string;
  address: string;
  state: 'starting' | 'running' | 'exited' | 'failed' | 'deleted';
  exitCode: number;
  message: string;
  createdAt: number;
  finishedAt: number;
}

const root = /* @__PURE__ */ protobuf.parse(protoSource, { keepCase: false }).root;

export interface Codec<T> {
  encode(value: T): Buffer;
  decode(bytes: Uint8Array): T;
}

const codecs = new Map<string, Codec<any>>();
function codec<T>(name: string): Codec<T> {
  let known = codecs.get(name);
  if (!known) {
    const type = root.lookupType(`orbitkit.galaxy.v1.${name}`);
    known = {
      encode: value => Buffer.from(type.encode(value as object).finish()),
      decode: bytes =>
        type.toObject(type.decode(bytes), { defaults: true, arrays: true, objects: true, longs: Number }) as T,
    };
    codecs.set(name, known);
  }
  return known;
}

interface MethodFacts {
  path: string;
  requestStream: boolean;
  responseStream: boolean;
  requestType: string;
  responseType: string;
}

/** A gRPC service definition for grpc-js, made from the schema. */
export function serviceDefinition(service: 'Coordinator' | 'Dispatcher' | 'Scheduler' | 'Node') {
  const definition: Record<string, any> = {};
  for (const method of root.lookupService(`orbitkit.galaxy.v1.${service}`).methodsArray) {
    const facts: MethodFacts = {
      path: `/orbitkit.galaxy.v1.${service}/${method.name}`,
      requestStream: method.requestStream ?? false,
      responseStream: method.responseStream ?? false,
      requestType: method.requestType,
      responseType: method.responseType,
    };
    const request = codec<unknown>(facts.requestType);
    const response = codec<unknown>(facts.responseType);
    definition[method.name] = {
      path: facts.path,
      requestStream: facts.requestStream,
      responseStream: facts.responseStream,
      requestSerialize: request.encode,
      requestDeserialize: request.decode,
      responseSerialize: response.encode,
      responseDeserialize: response.decode,
    };
  }
  return definition;
}
