/** `@orbitkit/core/protobuf`: Kubernetes' protobuf bodies, apart from the rest so that importing core stays light. */
export { decodeProtobuf, encodeProtobuf, isProtobuf, type TypeName } from './protobuf.js';
export { WireWriter } from './wire-writer.js';
